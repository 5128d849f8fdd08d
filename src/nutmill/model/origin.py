"""What a model computes outside of sampling, from its graph: small graphs that run once, in PyTensor's interpreter."""

from collections.abc import Mapping

import numpy as np

from nutmill.errors import ModelError
from nutmill.model.checks import reaches
from nutmill.model.graph import ModelGraph
from nutmill.model.saving import store
from nutmill.model.start import evaluate
from nutmill.native.origin import Arrays, misfits
from nutmill.native.processor import Target
from nutmill.native.stored import StoredOrigin


class GraphOrigin:
    """The `Origin` of a model whose graph is at hand."""

    def __init__(self, graph: ModelGraph):
        self.graph = graph
        self._inputs = [array.variable for array in graph.arrays]
        self._parameters = [parameter.variable for parameter in graph.parameters]

    def stored(self, arrays: Arrays, target: Target) -> StoredOrigin:
        """The same for a file, with machine code for a processor; raises ModelError if there is none."""
        return store(self.graph, arrays, target)

    def start(self, arrays: Arrays, seed: int) -> list[np.ndarray]:
        """Initial value of each parameter; random ones draw from streams made of `seed`."""
        return evaluate(self._inputs, arrays, self.graph.start, seed)

    def start_given(self, given: Mapping[str, object], arrays: Arrays, seed: int) -> list[np.ndarray]:
        """The same where the user gives some values by name; raises TypeError or ValueError if they do not fit."""
        current = {a.name: value for a, value in zip(self.graph.arrays, arrays, strict=True) if a.name is not None}
        inputs, outputs = self.graph.start_given(given)
        now = [current.get(array.name, array.value) for array in inputs]
        return evaluate([array.variable for array in inputs], now, outputs, seed)

    def shown(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Observed and constant data of the result, by name."""
        variables = {**self.graph.observed, **self.graph.constant}
        # Most of them are arrays of the record as they are.
        known = dict(zip(self._inputs, arrays, strict=True))
        computed = {name: variable for name, variable in variables.items() if variable not in known}
        values = dict(zip(computed, evaluate(self._inputs, arrays, list(computed.values())), strict=True))
        return {name: values[name] if name in values else known[variable] for name, variable in variables.items()}

    def misfits(self, pieces: Arrays, arrays: Arrays) -> list[str]:
        """Say which indices lie outside of what they index, a clause each."""
        found = reaches(self.graph)
        inputs = [*self._parameters, *self._inputs]
        bounds = evaluate(inputs, [*pieces, *arrays], [reach.bounds for reach in found])
        return misfits([reach.index for reach in found], bounds)

    def not_finite(self, pieces: Arrays, arrays: Arrays) -> dict[str, float]:
        """Log density of each variable of the model where it is not finite at a position, by name."""
        by_name = dict(zip((parameter.name for parameter in self.graph.parameters), pieces, strict=True))
        variables = list(self.graph.point_variables())
        if not variables:
            return {}
        terms = self.graph.terms()
        try:
            values = evaluate(variables, [by_name[variable.name] for variable in variables], list(terms.values()))
        except Exception:  # an operation fails there, and may raise what it likes; the status tells of it
            return {}
        return {name: float(value) for name, value in zip(terms, values, strict=True) if not np.isfinite(value)}

    def with_log_likelihood(self, result):
        """Add the group ``log_likelihood`` to a result, as PyMC computes it."""
        import pymc  # takes seconds, which other results need not pay

        if self.graph.source is None:
            raise ModelError("log_likelihood is computed from a pm.Model, and this model is none.")
        return pymc.compute_log_likelihood(result, model=self.graph.source, progressbar=False)
