"""Loops over arrays that broadcast: which elements belong together, and what LLVM may assume of memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from llvmlite import ir
from llvmlite.ir.values import MDValue
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import ONE, WORD, ZERO, Emitter, View, load, store

_UNROLLED = 16
_STRIP = 32  # elements of a row: as many as vectors, some at once, hold

_NOT_AS_DECLARED = "an array of the model does not have its declared shape"

# Where what is said of memory begins to hold: LLVM copies the nodes where it unrolls a loop around this.
_BEGIN = "llvm.experimental.noalias.scope.decl"


class Axes(NamedTuple):
    """One operand of a loop nest: the array, and for each axis of the nest whether it broadcasts there."""

    view: View
    broadcasts: Sequence[bool]

    @property
    def is_constant(self) -> bool:
        """Whether it is one value for the whole nest."""
        return all(self.broadcasts)

    @property
    def is_flat(self) -> bool:
        """Whether its elements lie in the order of the nest, one after the other."""
        return self.view.kind.layout == "C" and not any(self.broadcasts)


def common_shape(
    emitter: Emitter, operands: Sequence[Axes], message: str, exception: type = ValueError
) -> list[ir.Value]:
    """Lengths of the nest; leaves with an exception where the operands' lengths differ."""
    shape: list[ir.Value] = []
    is_not_one = ir.IntType(1)(0)
    for axis in range(len(operands[0].broadcasts)):
        length = None
        for operand in operands:
            own = operand.view.shape[axis]
            if operand.broadcasts[axis]:
                if same(own, ONE):
                    continue
                is_not_one = emitter.builder.or_(is_not_one, emitter.builder.icmp_unsigned("!=", own, ONE))
            elif length is None:
                length = own
            elif not same(own, length):
                emitter.fail_if(emitter.builder.icmp_unsigned("!=", own, length), exception, message)
        shape.append(ONE if length is None else length)
    if not isinstance(is_not_one, ir.Constant):
        emitter.fail_if(is_not_one, ValueError, _NOT_AS_DECLARED)
    return shape


def short_lengths(emitter: Emitter, shape: Sequence[ir.Value], static: Sequence[int | None]) -> list[ir.Value]:
    """The same lengths, short ones as constants where the graph knows them: LLVM unrolls such loops."""
    lengths = list(shape)
    for axis, known in enumerate(static):
        if known is not None and known <= _UNROLLED and not same(shape[axis], WORD(known)):
            differs = emitter.builder.icmp_unsigned("!=", shape[axis], WORD(known))
            emitter.fail_if(differs, ValueError, _NOT_AS_DECLARED)
            lengths[axis] = WORD(known)
    return lengths


def same(one: ir.Value, other: ir.Value) -> bool:
    """Whether two lengths are known to be equal while the code is written."""
    return one is other or (isinstance(one, ir.Constant) and isinstance(other, ir.Constant) and one == other)


@contextmanager
def nest(emitter: Emitter, shape: Sequence[ir.Value]) -> Iterator[Sequence[ir.Value]]:
    """A loop over all indices, the last one fastest."""
    with cgutils.loop_nest(emitter.builder, list(shape), WORD) as indices:
        yield indices


@contextmanager
def lower_triangle(emitter: Emitter, shape: Sequence[ir.Value]) -> Iterator[Sequence[ir.Value]]:
    """A loop over the lower triangle of a square matrix, and over what of each row lies in one strip with it.

    Rows of any length would leave elements behind that do not fill a vector.
    """
    builder, (rows, columns) = emitter.builder, shape
    with cgutils.loop_nest(builder, [rows], WORD) as (row,):
        end = builder.and_(builder.add(row, WORD(_STRIP)), WORD(-_STRIP))
        end = builder.select(builder.icmp_signed("<", end, columns), end, columns)
        with cgutils.loop_nest(builder, [end], WORD) as (column,):
            yield row, column


def with_leading(view: View, broadcasts: Sequence[bool], ndim: int) -> Axes:
    """An operand of a nest of more axes: those that it lacks are in front, and it broadcasts there."""
    n_new = ndim - len(view.shape)
    kind = view.kind.copy(ndim=ndim, layout="A") if n_new else view.kind
    view = View(kind, view.data, [ONE] * n_new + list(view.shape), [ZERO] * n_new + list(view.strides))
    return Axes(view, (*[True] * n_new, *broadcasts))


def flattened(emitter: Emitter, operands: Sequence[Axes], shape: Sequence[ir.Value]):
    """The same operands as vectors, and the length of the nest; None if one of them does not lie flat."""
    if len(shape) < 2 or not all(operand.is_flat or operand.is_constant for operand in operands):
        return None
    size = shape[0]
    for length in shape[1:]:
        size = emitter.builder.mul(size, length)
    return [_as_vector(operand, size) for operand in operands], [size]


def _as_vector(operand: Axes, size: ir.Value) -> Axes:
    view = operand.view
    if operand.is_constant:
        return Axes(view._replace(shape=[ONE], strides=[ZERO]), (True,))
    kind = view.kind.copy(ndim=1)
    return Axes(View(kind, view.data, [size], view.strides[-1:]), (False,))


def at(operand: Axes, indices: Sequence[ir.Value]) -> list[ir.Value]:
    """Index of the operand's element that belongs to `indices` of the nest."""
    return [ZERO if broadcasts else index for broadcasts, index in zip(operand.broadcasts, indices, strict=True)]


class Own(MDValue):
    """A node of metadata that names itself first, and so is none but itself.

    That arrays do not overlap holds for one run of the nest. Where LLVM inlines a function twice, it copies such nodes;
    of equal nodes with a name it would keep one, and what one copy writes, the other would not read.
    """

    def __init__(self, module: ir.Module, others: Sequence[MDValue]):
        super().__init__(module, others, name=str(len(module.metadata)))
        self.operands = (self, *others)

    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class Memory:
    """Loads and stores of one nest; what overlaps with nothing is said to, which spares LLVM its checks at run time.

    `emitter` stands before the nest, which works `n_places` of the given arrays in place. PyTensor sees to it that what
    is worked in place is no part of another operand. Of a single element nothing is said: there is nothing to check,
    and LLVM compares all that is said of a function's memory with all of its loads and stores.
    """

    def __init__(self, emitter: Emitter, n_places: int = 0, *, is_loop: bool = True):
        self._emitter = emitter
        self._scopes: list[Own] = []
        if not is_loop:
            return
        module = emitter.builder.module
        domain = Own(module, [])
        self._scopes = [Own(module, [domain]) for _ in range(1 + n_places)]
        begin = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), [ir.MetaDataType()]), _BEGIN)
        for scope in self._scopes:
            emitter.builder.call(begin, [module.add_metadata([scope])])

    def load_given(self, view: View, indices: Sequence[ir.Value]) -> ir.Value:
        """Load from an array that was there before the nest."""
        return self._marked(lambda: load(self._emitter, view, indices), "load", None)

    def store_new(self, view: View, indices: Sequence[ir.Value], value: ir.Value) -> None:
        """Store into an array that was made for the nest."""
        self._marked(lambda: store(self._emitter, view, indices, value), "store", 0)

    def load_new(self, view: View, indices: Sequence[ir.Value]) -> ir.Value:
        """Load from an array that was made for the nest."""
        return self._marked(lambda: load(self._emitter, view, indices), "load", 0)

    def load_place(self, place: int, view: View, indices: Sequence[ir.Value]) -> ir.Value:
        """Load from the array of this number, counted from 0, that the nest works in place."""
        return self._marked(lambda: load(self._emitter, view, indices), "load", 1 + place)

    def store_place(self, place: int, view: View, indices: Sequence[ir.Value], value: ir.Value) -> None:
        """Store into the array of this number that the nest works in place."""
        self._marked(lambda: store(self._emitter, view, indices, value), "store", 1 + place)

    def _marked(self, write, opname: str, own: int | None):
        if not self._scopes:
            return write()
        block = self._emitter.builder.block
        first = len(block.instructions)
        result = write()
        module = self._emitter.builder.module
        others = [scope for number, scope in enumerate(self._scopes) if number != own]
        for instruction in block.instructions[first:]:
            if instruction.opname == opname:
                if own is not None:
                    instruction.set_metadata("alias.scope", module.add_metadata([self._scopes[own]]))
                if others:
                    instruction.set_metadata("noalias", module.add_metadata(others))
        return result
