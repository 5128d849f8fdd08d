"""Where in the record a model's functions find what they read: parameters, data, lengths, what was hoisted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pytensor.graph.basic import Variable

from nutmill.model.graphs.arithmetic import Arithmetic
from nutmill.model.lowering.ways import Way
from nutmill.model.rewriting.rewrite import Rewritten
from nutmill.native.grouping import Arranged
from nutmill.native.lengths import Lengths
from nutmill.native.record import Slot, layout


class Places(NamedTuple):
    """The record of a model."""

    slots: Mapping[Variable, Slot]  # in the order of the record
    lengths: Lengths  # what gives the lengths in it
    arranged: tuple[Arranged, ...]  # what the last of them are

    def of(self, rewritten: Rewritten) -> list[Slot]:
        """Give the places of a graph's inputs."""
        return [self.slots[variable] for variable in rewritten.inputs]


def prepared(way: Way, arrays: Sequence[Variable], reader: Rewritten, arithmetic: Arithmetic) -> Rewritten | None:
    """Rewrite what was hoisted out of a graph; None if nothing was."""
    if not reader.hoisted:
        return None
    given, outputs = [*arrays, *arithmetic.inputs], list(reader.hoisted.values())
    return way.rewrite([], given, outputs, hoist=False, arithmetic=arithmetic)


def placed(
    parameters: Sequence[Variable],
    arrays: Sequence[Variable],
    reader: Rewritten,
    prepare: Rewritten | None,
    arithmetic: Arithmetic,
) -> Places:
    """Place what a graph reads, and what that which was hoisted out of it reads."""
    read = {*reader.inputs, *(prepare.inputs if prepare else ())}
    lengths = [variable for variable in arithmetic.inputs if variable in read]
    data = [*arrays, *lengths, *reader.hoisted]
    numbers = {variable: number for number, variable in enumerate([*data, *reader.arranged])}
    arranged = tuple(Arranged(m.kind, numbers[m.by], numbers[m.source]) for m in reader.arranged.values())
    slots = layout(kinds(parameters), kinds([*data, *reader.arranged]))
    placed_at = dict(zip([*parameters, *data, *reader.arranged], slots, strict=True))
    return Places(placed_at, arithmetic.lengths(lengths), arranged)


def kinds(variables: Sequence[Variable]) -> list[tuple[str, int]]:
    """Dtype and rank of each."""
    return [(variable.type.dtype, variable.type.ndim) for variable in variables]
