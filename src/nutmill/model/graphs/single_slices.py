"""Writes slices that take one element as that element: they broadcast, however long what they are taken of becomes."""

from collections.abc import Sequence

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import toposort
from pytensor.tensor.basic import expand_dims
from pytensor.tensor.subtensor import Subtensor

from nutmill.model.compat import index_entries
from nutmill.model.graphs.patterns import known_entry


def with_single_elements(outputs: Sequence[Variable]) -> list[Variable]:
    """Write `x[:, 2:3]` as `x[:, 2][:, None]`, where the type of `x` tells that both are the same.

    PyTensor knows by the length of `x` that such a slice broadcasts, and without it refuses to.
    """
    new: dict[Variable, Variable] = {}
    for node in toposort(outputs):
        inputs = [new.get(variable, variable) for variable in node.inputs]
        if single := _single(node):
            new[node.outputs[0]] = _elements(node.clone_with_new_inputs(inputs), single)
        elif inputs != node.inputs:
            new.update(zip(node.outputs, node.clone_with_new_inputs(inputs).outputs, strict=True))
    return [new.get(variable, variable) for variable in outputs]


def _single(node: Apply) -> dict[int, int]:
    """Which element the slices of an index take, by axis, where they take one of several."""
    if not isinstance(node.op, Subtensor):
        return {}
    found = {}
    for axis, entry in enumerate(map(known_entry, index_entries(node))):
        length = node.inputs[0].type.shape[axis]
        if isinstance(entry, slice) and length is not None and length > 1 and len(taken := range(length)[entry]) == 1:
            is_from_end = entry.start is not None and entry.start < 0
            found[axis] = taken[0] - length if is_from_end else taken[0]
    return found


def _elements(node: Apply, single: dict[int, int]) -> Variable:
    """Index with single elements in place of slices, and give their axes back."""
    entries = index_entries(node)
    kept = [axis for axis, entry in enumerate(entries) if isinstance(entry, slice)]  # an index takes its axis away
    taken = node.inputs[0][tuple(single.get(axis, entry) for axis, entry in enumerate(entries))]
    return expand_dims(taken, [number for number, axis in enumerate(kept) if axis in single])
