"""Evaluates small graphs that run once by PyTensor's Python linker: they need no compiler."""

from collections.abc import Sequence

import numpy as np
import pytensor
from pymc.pytensorf import find_rng_nodes, reseed_rngs
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable

_INTERPRETED = Mode(linker="py", optimizer=None)


def without_c():
    """Keep PyTensor from calling the C compiler within the block: it compiles each op that it folds constants by."""
    return pytensor.config.change_flags(cxx="")


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
    with without_c():
        function = pytensor.function(
            list(inputs), list(outputs), mode=_INTERPRETED, on_unused_input="ignore", allow_input_downcast=True
        )
    rngs = find_rng_nodes(function.maker.fgraph.outputs)
    if rngs:
        reseed_rngs(rngs, seed)
    return [np.asarray(value) for value in function(*values)]
