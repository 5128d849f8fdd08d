"""Values of a model's variables before sampling: support points, given values, and what is not finite.

Small graphs that run once are evaluated by PyTensor's Python linker: they need no compiler.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pytensor
from pymc.pytensorf import find_rng_nodes, reseed_rngs
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable

_INTERPRETED = Mode(linker="py", optimizer=None)


def evaluate(
    inputs: Sequence[Variable], values: Sequence[np.ndarray], outputs: Sequence[Variable], seed: int = 0
) -> list[np.ndarray]:
    """Evaluate graphs once, in Python.

    Parameters
    ----------
    inputs, values
        The inputs of the graphs, and an array for each.
    outputs
        What to evaluate; random variables in it draw from streams made of `seed`.
    """
    if not outputs:
        return []
    function = pytensor.function(
        list(inputs), list(outputs), mode=_INTERPRETED, on_unused_input="ignore", allow_input_downcast=True
    )
    rngs = find_rng_nodes(function.maker.fgraph.outputs)
    if rngs:
        reseed_rngs(rngs, seed)
    return [np.asarray(value) for value in function(*values)]


def not_finite(terms: Mapping[str, Variable], point: Mapping[Variable, np.ndarray]) -> dict[str, float]:
    """Evaluate the log density of each variable at `point`; give those that are not finite."""
    values = evaluate(list(point), list(point.values()), list(terms.values()))
    return {name: float(value) for name, value in zip(terms, values, strict=True) if not np.isfinite(value)}
