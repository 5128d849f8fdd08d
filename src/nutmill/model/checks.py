"""Graphs that tell how far the indices of a model reach: native code would read past the end of an array."""

from collections.abc import Mapping
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors

from nutmill.model.compat import indexed_axes
from nutmill.model.graph import ModelGraph

_UNNAMED = "a constant of the model"


class Reach(NamedTuple):
    """An array of indices and how far it reaches.

    Attributes
    ----------
    name : str
        Of the array.
    bounds : Variable
        Three integers: the least index or 0, the greatest or -1, the length of what is indexed.
    """

    name: str
    bounds: Variable


def reaches(graph: ModelGraph) -> list[Reach]:
    """Tell of every array of data by which the model indexes something, a graph of parameters and arrays each."""
    if graph.logp is None:
        return []
    data = {array.variable: array.name or _UNNAMED for array in graph.arrays}
    outputs = [graph.logp, *(node.variable for node in graph.expanded.values())]
    nodes = {variable.owner for variable in ancestors(outputs) if variable.owner is not None}
    found = {}
    for node in nodes:
        for axis, index in indexed_axes(node):
            if name := _name(index, data):
                length = node.inputs[0].shape[axis]
                found[_root(index), axis, node.inputs[0]] = Reach(name, _bounds(index, length))
    return list(found.values())


def _name(index: Variable, data: Mapping[Variable, str]) -> str | None:
    """Say which data an array of indices is, or is made of; None if no data are in it."""
    if (root := _root(index)) in data:
        return data[root]
    names = sorted({data[variable] for variable in ancestors([index]) if variable in data})
    return f"what the model makes of {', '.join(names)}" if names else None


def _root(index: Variable) -> Variable:
    """What an array of indices is made of, behind casts and new axes."""
    while index.owner is not None and len(index.owner.inputs) == 1:
        index = index.owner.inputs[0]
    return index


def _bounds(index: Variable, length: Variable) -> Variable:
    flat = pt.cast(index.ravel(), "int64")
    # An empty array has no least index.
    lowest = pt.min(pt.concatenate([pt.zeros(1, dtype="int64"), flat]))
    highest = pt.max(pt.concatenate([-pt.ones(1, dtype="int64"), flat]))
    return pt.stack([lowest, highest, pt.cast(length, "int64")])
