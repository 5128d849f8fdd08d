"""What a model computes outside of sampling, from its graph: small graphs that run once, in PyTensor's interpreter."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from pymc.logprob.utils import ParameterValueError
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors

from nutmill.errors import ModelError, first_line
from nutmill.model.cache.initial_values import KeptStart
from nutmill.model.compile_order import COMPILING
from nutmill.model.graphs.checks import Reach, reaches
from nutmill.model.graphs.graph import GraphArray, ModelGraph, Terms
from nutmill.model.graphs.start import evaluate, evaluator
from nutmill.native.code import Code
from nutmill.native.origin import Arrays, Guide, Term, misfits
from nutmill.native.processor import Target
from nutmill.native.saved_origin import SavedOrigin


class GraphOrigin:
    """The `Origin` of a model whose graph is at hand."""

    def __init__(self, graph: ModelGraph, kept: KeptStart | None = None):
        self.graph = graph
        self._kept = kept
        self._likelihood: Code | None = None
        self._inputs = [array.variable for array in graph.arrays]
        self._parameters = [parameter.variable for parameter in graph.parameters]

    def saved(self, arrays: Arrays, target: Target) -> SavedOrigin:
        """The same for a file, with machine code for a processor; raises ModelError if there is none."""
        from nutmill.model.origin_code import saved_origin  # brings Numba, as the other that is imported below

        with COMPILING:
            return saved_origin(self.graph, arrays, target)

    def start(self, arrays: Arrays, seed: int) -> list[np.ndarray]:
        """Initial value of each parameter; random ones draw from streams made of `seed`."""

        def evaluated() -> list[np.ndarray]:
            return self._start_at(arrays, seed)

        return evaluated() if self._kept is None else self._kept.values(arrays, evaluated)

    def start_given(self, given: Mapping[str, object], arrays: Arrays, seed: int) -> list[np.ndarray]:
        """The same where the user gives some values by name; raises TypeError or ValueError if they do not fit."""
        inputs, outputs = self.graph.start_given(given)
        return evaluate([array.variable for array in inputs], self._now(inputs, arrays), outputs, seed)

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
        if not self._reaches:
            return []
        return misfits([reach.index for reach in self._reaches], self._bounds_at([*pieces, *arrays]))

    def not_finite(self, pieces: Arrays, arrays: Arrays) -> dict[str, Term]:
        """Terms of the log density that are not finite at a position, by name of the variable."""
        variables = list(self.graph.point_variables())
        found = {}
        # One by one, because an operation that fails in one may raise what it likes.
        for name, graph in self._terms.densities.items():
            value, failure = _value_or_failure(self._terms_at(arrays, [graph]), pieces)
            if failure or not np.isfinite(value).all():
                needed = set(ancestors([graph]))
                found[name] = Term(float(value.sum()), tuple(v.name for v in variables if v in needed), failure)
        return found

    def guide(self, arrays: Arrays) -> Guide:
        """What helps to find a start."""
        nodes = {variable.owner for variable in ancestors(list(self._terms.densities.values()))}
        return Guide(self._misses(arrays), self._prior(arrays), len(nodes))

    def _misses(self, arrays: Arrays) -> Callable[[Arrays], int] | None:
        if not self._terms.densities:
            return None
        terms_at = self._terms_at(arrays, list(self._terms.densities.values()))

        def misses(pieces: Arrays) -> int:
            try:
                return sum(int(np.count_nonzero(~np.isfinite(value))) for value in terms_at(pieces))
            except Exception:  # what an operation raises counts as worse than any number
                return sys.maxsize

        return misses

    def _prior(self, arrays: Arrays) -> Callable[[int], list[np.ndarray] | None] | None:
        if self.graph.prior is None:
            return None
        inputs, outputs = self.graph.prior()
        values, draw = self._now(inputs, arrays), evaluator([array.variable for array in inputs], outputs)

        def prior(seed: int) -> list[np.ndarray] | None:
            try:
                return draw(values, seed)
            except Exception:  # a distribution without draws, or one whose parameters another draw does not fit
                return None

        return prior

    def _terms_at(self, arrays: Arrays, terms: list[Variable]) -> Callable[[Arrays], list[np.ndarray]]:
        """Function that evaluates some terms at a position, for these data."""
        inputs = self._terms.arrays
        variables = list(self.graph.point_variables())
        places = [[p.name for p in self.graph.parameters].index(variable.name) for variable in variables]
        values = self._now(inputs, arrays)
        evaluated = evaluator([*variables, *(array.variable for array in inputs)], terms)

        def terms_at(pieces: Arrays) -> list[np.ndarray]:
            with np.errstate(all="ignore"):
                return evaluated([*(pieces[place] for place in places), *values])

        return terms_at

    # Made once: a model may be asked thousands of times, with other data each time.
    @cached_property
    def _reaches(self) -> list[Reach]:
        return reaches(self.graph)

    @cached_property
    def _bounds_at(self) -> Callable[..., list[np.ndarray]]:
        return evaluator([*self._parameters, *self._inputs], [reach.bounds for reach in self._reaches])

    @cached_property
    def _start_at(self) -> Callable[..., list[np.ndarray]]:
        return evaluator(self._inputs, self.graph.start)

    @cached_property
    def _terms(self) -> Terms:
        return self.graph.terms()

    def _now(self, needed: Sequence[GraphArray], arrays: Arrays) -> list[np.ndarray]:
        """Values of arrays that were lifted out of other graphs: those of the record where they have a name."""
        current = {a.name: value for a, value in zip(self.graph.arrays, arrays, strict=True) if a.name is not None}
        return [array.value if array.name is None else current.get(array.name, array.value) for array in needed]

    def likelihood(self, target: Target) -> Code:
        """Native code that gives the log likelihood of each observation; raises ModelError if there is none."""
        if self.graph.source is None:
            raise ModelError("log_likelihood is that of a pm.Model, and this model is none: leave it out.")
        if self._likelihood is None:
            from nutmill.model.build import compile_likelihood

            self._likelihood = compile_likelihood(self.graph, target)
        return self._likelihood


def _value_or_failure(evaluated: Callable[[Arrays], list[np.ndarray]], pieces: Arrays) -> tuple[np.ndarray, str]:
    """What a function of one result gives at a position; NaN, and why, where an operation raises."""
    try:
        (value,) = evaluated(pieces)
    except ParameterValueError as error:
        return np.array(np.nan), f"not fulfilled: {first_line(error)}"
    except Exception as error:
        return np.array(np.nan), f"cannot be computed: {first_line(error) or type(error).__name__}"
    return value, ""
