"""Takes today's lengths out of what broadcasts: PyMC writes them as constants, and code should know no data."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, toposort
from pytensor.tensor.basic import Alloc, AllocDiag, alloc_diag
from pytensor.tensor.type import lscalar


def with_open_lengths(
    outputs: Sequence[Variable], is_data: Callable[[Variable], bool]
) -> tuple[list[Variable], list[tuple[Variable, np.ndarray]]]:
    """Drop broadcasts that change nothing, and make inputs of the lengths of others, where data have them too.

    Returns the new outputs, and the inputs with their values.
    """
    outputs = _without_idle_broadcasts(outputs)
    data = [variable for variable in ancestors(outputs) if is_data(variable)]
    known = {length for variable in data for length in variable.type.shape if length not in (None, 1)}
    inputs: dict[int, Variable] = {}

    def opened(length: Variable) -> Variable:
        if not isinstance(length, Constant) or int(length.data) not in known:
            return length
        return inputs.setdefault(int(length.data), lscalar())

    broadcasts = [node for node in toposort(outputs) if isinstance(node.op, Alloc)]
    changed = {node: [node.inputs[0], *map(opened, node.inputs[1:])] for node in broadcasts}
    return _rebuilt(outputs, changed), [(variable, np.asarray(length)) for length, variable in inputs.items()]


def _without_idle_broadcasts(outputs: Sequence[Variable]) -> list[Variable]:
    """Drop broadcasts to the shape that a variable has anyway."""
    left = list(outputs)
    while idle := {v: v.owner.inputs[0] for v in ancestors(left) if _is_idle(v)}:
        left = clone_replace(left, idle)
    return left


def _is_idle(variable: Variable) -> bool:
    node = variable.owner
    if node is None or not isinstance(node.op, Alloc):
        return False
    source = node.inputs[0].type
    return source.dtype == variable.type.dtype and source.shape == variable.type.shape and None not in source.shape


def _rebuilt(outputs: Sequence[Variable], changed: Mapping[Apply, list[Variable]]) -> list[Variable]:
    """Give nodes other inputs; unlike `clone_replace`, which asserts that static shapes stay what they were."""
    if all(inputs == node.inputs for node, inputs in changed.items()):
        return list(outputs)
    new: dict[Variable, Variable] = {}
    for node in toposort(outputs):
        inputs = [new.get(variable, variable) for variable in changed.get(node, node.inputs)]
        if inputs != node.inputs:
            new.update(zip(node.outputs, _applied(node, inputs).outputs, strict=True))
    return [new.get(variable, variable) for variable in outputs]


def _applied(node: Apply, inputs: list[Variable]) -> Apply:
    """Apply a node's op to other inputs; a diagonal matrix holds a graph of its own, with today's lengths in it."""
    if isinstance(node.op, AllocDiag):
        return alloc_diag(*inputs, node.op.offset, node.op.axis1, node.op.axis2).owner
    return node.clone_with_new_inputs(inputs, strict=False)
