"""Evaluates small graphs that run once by PyTensor's Python linker: they need no compiler."""

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
import pytensor
from pymc.pytensorf import find_rng_nodes, reseed_rngs
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Second
from pytensor.tensor.basic import MakeVector, alloc, cast, constant
from pytensor.tensor.shape import Shape
from pytensor.tensor.subtensor import Subtensor
from scipy.sparse import issparse

from nutmill.model.compat import index_entries
from nutmill.model.compile_order import COMPILING
from nutmill.model.graphs.inner_graphs import expand_graphs
from nutmill.model.graphs.patterns import is_elementwise, known_entry

_INTERPRETED = Mode(linker="py", optimizer=None)


def without_c():
    """Keep PyTensor from calling the C compiler within the block: it compiles each op that it folds constants by."""
    return pytensor.config.change_flags(cxx="")


def evaluate(
    inputs: Sequence[Variable], values: Sequence[np.ndarray], outputs: Sequence[Variable], seed: int = 0
) -> list[np.ndarray]:
    """Evaluate graphs once, in Python.

    `values` has an array for each of the `inputs`; random variables draw from streams made of `seed`.
    """
    return evaluator(inputs, outputs)(values, seed) if outputs else []


def evaluator(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Callable[..., list[np.ndarray]]:
    """Make the function that `evaluate` calls, (values, seed) -> arrays, for graphs that run more than once."""
    # The result of a run in the background is made while its user may compile another model.
    with COMPILING, without_c():
        graph = _simplified(outputs)
        function = pytensor.function(
            list(inputs), graph, mode=_INTERPRETED, on_unused_input="ignore", allow_input_downcast=True
        )
    rngs = find_rng_nodes(function.maker.fgraph.outputs)
    turn = Lock()  # what a function works on, and its random numbers, lie in the function

    def evaluated(values: Sequence[np.ndarray], seed: int = 0) -> list[np.ndarray]:
        with turn:
            if rngs:
                reseed_rngs(rngs, seed)
            return [value if issparse(value) else np.asarray(value) for value in function(*values)]

    return evaluated


def _simplified(outputs: Sequence[Variable]) -> list[Variable]:
    """Copy a graph for the interpreter, which would take a minute for the start of an LKJ prior of 20 variables.

    It would draw what only the shape is asked of, and rewrite and compile the graphs within operations. It would
    also make checks of what nobody asks for: PyMC checks all lengths of a random walk, wrongly some, and takes one.
    """
    leaves = [variable for variable in ancestors(outputs) if variable.owner is None]
    inputs = [variable for variable in leaves if not isinstance(variable, Constant)]  # shared variables, too
    fgraph = FunctionGraph(inputs, list(outputs), clone=True, copy_inputs=False)
    for node in fgraph.toposort():
        known = _element(node) if isinstance(node.op, Subtensor) else _without_values(node)
        if known is not None:
            fgraph.replace(node.outputs[0], known, reason="known", import_missing=True)
    expand_graphs(fgraph)
    return fgraph.outputs


def _without_values(node: Apply) -> Variable | None:
    """Write what depends on the shape of an array alone without the array, where the shape is known."""
    if isinstance(node.op, Shape) and None not in node.inputs[0].type.shape:
        return constant(node.inputs[0].type.shape, dtype="int64")
    # As in zeros_like.
    if is_elementwise(node, Second):
        shape = node.outputs[0].type.shape
        return None if None in shape else alloc(node.inputs[1], *shape)
    return None


def _element(node: Apply) -> Variable | None:
    """Give what a known index takes of numbers that are stacked, without the others."""
    stack = node.inputs[0].owner
    if stack is None or not isinstance(stack.op, MakeVector):
        return None
    (index,) = index_entries(node)
    number = known_entry(index)
    if not isinstance(number, int) or not -len(stack.inputs) <= number < len(stack.inputs):
        return None
    return cast(stack.inputs[number], node.outputs[0].type.dtype)
