"""Graphs that tell how far the indices of a model reach: native code would read past the end of an array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, apply_ancestors
from pytensor.scalar.basic import Cast
from pytensor.tensor.elemwise import DimShuffle

from nutmill.model.compat import indexed_axes
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.patterns import is_elementwise
from nutmill.native.origin import Index

_UNNAMED = "a constant of the model"


@dataclass(frozen=True)
class Reach:
    """An array by which the model indexes and how far it reaches."""

    index: Index
    bounds: Variable  # three integers, as `native.origin.misfits` takes them


def reaches(graph: ModelGraph) -> list[Reach]:
    """Tell of every array of data by which the model indexes something, a graph of parameters and arrays each."""
    if graph.logp is None:
        return []
    data = {array.variable: array.name or _UNNAMED for array in graph.arrays}
    outputs = [graph.logp, *(node.variable for node in graph.expanded.values())]
    found = {}
    for node in apply_ancestors(outputs):
        for axis, index in indexed_axes(node):
            if name := _name(index, data):
                found[index, axis, node.inputs[0]] = _reaches(name, index, node.inputs[0], axis)
    all_found = [reach for together in found.values() for reach in together]
    bounds = _as_written(graph, [reach.bounds for reach in all_found])
    return [replace(reach, bounds=bound) for reach, bound in zip(all_found, bounds, strict=True)]


def _as_written(graph: ModelGraph, outputs: Sequence[Variable]) -> Sequence[Variable]:
    """Let graphs be of parameters and arrays alone: in the coordinates in which the model is written."""
    written = {}
    for site in graph.sites:
        of_parameter = graph.parameters[site.parameter].variable
        written[site.centredness] = pt.full_like(of_parameter, site.written, dtype=site.centredness.type.dtype)
    return clone_replace(list(outputs), written) if written and outputs else outputs


def _reaches(name: str, index: Variable, indexed: Variable, axis: int) -> list[Reach]:
    if index.type.dtype != "bool":
        return [Reach(Index(name, False), _bounds(index, indexed.shape[axis]))]
    return [
        Reach(Index(name, True), _three(index.shape[i], index.shape[i], indexed.shape[axis + i]))
        for i in range(index.type.ndim)
    ]


def _name(index: Variable, data: Mapping[Variable, str]) -> str | None:
    """Say which data an array of indices is, or is made of; None if no data are in it."""
    if (root := _root(index)) in data:
        return data[root]
    if isinstance(index, Constant):  # masks stay in the model, and what they select from may change
        return _UNNAMED
    names = sorted({data[variable] for variable in ancestors([index]) if variable in data})
    return f"what the model makes of {', '.join(names)}" if names else None


def _root(index: Variable) -> Variable:
    """What an array of indices is, behind casts and new axes."""
    while index.owner is not None and (isinstance(index.owner.op, DimShuffle) or is_elementwise(index.owner, Cast)):
        index = index.owner.inputs[0]
    return index


def _bounds(index: Variable, length: Variable) -> Variable:
    flat = pt.cast(index.ravel(), "int64")
    # An empty array has no least index.
    lowest = pt.min(pt.concatenate([pt.zeros(1, dtype="int64"), flat]))
    highest = pt.max(pt.concatenate([-pt.ones(1, dtype="int64"), flat]))
    return _three(lowest, highest, length)


def _three(*values: Variable) -> Variable:
    return pt.stack([pt.cast(value, "int64") for value in values])
