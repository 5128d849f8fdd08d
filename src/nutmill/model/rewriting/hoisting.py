"""Takes out of a graph what depends on data alone: it is computed once, when data are bound, not in every gradient."""

from collections.abc import Iterator, Mapping, Set

from pytensor.compile import Supervisor
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.scalar.basic import Sqr, Sub
from pytensor.tensor.basic import Alloc, AllocEmpty, MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.type import TensorType

# Free to compute, or bigger than what they are made of: reading the result would cost more than making it.
_CHEAP = (
    DimShuffle,
    Reshape,
    Subtensor,
    Shape,
    Shape_i,
    SpecifyShape,
    Alloc,
    AllocEmpty,
    ScalarFromTensor,
    TensorFromScalar,
)


def hoist_data(
    fgraph: FunctionGraph, data: Set[Variable], given: Mapping[Variable, Variable]
) -> dict[Variable, Variable]:
    """Replace the largest sub-graphs that depend on data alone by inputs.

    `given` says what the inputs of the graph stand for. Returns for each new input a copy of its sub-graph, in terms of
    these.
    """
    frontier = list(dict.fromkeys(_frontier(fgraph, data)))
    copies = clone_replace(frontier, dict(given)) if frontier else []
    hoisted = {copy.type(): copy for copy in copies}
    for variable, replacement in zip(frontier, hoisted, strict=True):
        fgraph.add_input(replacement)
        fgraph.replace(variable, replacement, reason="hoist")
    return hoisted


def protect_inputs(fgraph: FunctionGraph) -> None:
    """From here on let no rewrite work in place on what the caller owns."""
    fgraph.attach_feature(Supervisor(fgraph.inputs))


def _frontier(fgraph: FunctionGraph, data: Set[Variable]) -> Iterator[Variable]:
    """Variables that depend on data alone, are worth keeping, and are read by what does not."""
    data_only = set(data)
    for node in fgraph.toposort():
        known = [v for v in node.inputs if not isinstance(v, Constant)]
        if known and all(v in data_only for v in known):
            data_only.update(node.outputs)
    needed = [v for node in fgraph.toposort() if node.outputs[0] not in data_only for v in node.inputs]
    stack = [v for v in (*fgraph.outputs, *needed) if v in data_only]
    seen: set[Variable] = set()
    while stack:
        variable = stack.pop()
        if variable in seen or variable.owner is None:
            continue
        seen.add(variable)
        if _is_cheap(variable.owner, variable) or _grows_in_loops(fgraph, variable):
            stack.extend(v for v in variable.owner.inputs if v in data_only)
        else:
            yield variable


def _grows_in_loops(fgraph: FunctionGraph, variable: Variable) -> bool:
    """Whether these are differences of two smaller arrays, or their squares, that only loops read."""
    node = variable.owner
    if not isinstance(node.op, Elemwise) or not all(
        isinstance(client, Apply) and isinstance(client.op, Elemwise) for client, _ in fgraph.clients[variable]
    ):
        return False
    if isinstance(node.op.scalar_op, Sqr):
        (variable,) = node.inputs
        node = variable.owner
    if node is None or not isinstance(node.op, Elemwise) or not isinstance(node.op.scalar_op, Sub):
        return False
    whole = variable.type.broadcastable
    return all(v.type.broadcastable.count(True) > whole.count(True) for v in node.inputs)


def _is_cheap(node: Apply, variable: Variable) -> bool:
    lists_lengths = isinstance(node.op, MakeVector) and variable.type.dtype.startswith("int")
    return isinstance(node.op, _CHEAP) or lists_lengths or not isinstance(variable.type, TensorType)
