"""Arrays as IR sees them: where an element lies, views of one array, new arrays and memory for those of a loop."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from llvmlite.ir.instructions import InsertValue
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.context import BaseContext as TypingContext
from numba.np.numpy_support import as_dtype, from_dtype

from nutmill.model.lowering.inline.step_memory import Pieces, Scratch, either

WORD = ir.IntType(64)
ZERO, ONE = WORD(0), WORD(1)

# Where the parts of an array stand in Numba's structure of it.
_HEADER, _PARENT, _N_ELEMENTS, _ITEMSIZE, _DATA, _SHAPE, _STRIDES = range(7)

# What `Emitter.fail_if` says in several places.
LENGTHS_DIFFER = "arrays of the model that are combined element by element have different lengths"

# Arrays of so many elements may lie on the stack; in the step of a loop they would be allocated again and again.
_ON_STACK, _ON_STACK_IN_STEP = 16, 256


class Emitter(NamedTuple):
    """Where IR goes, and what Numba needs to know of types while it is written."""

    # Numba's and llvmlite's.
    context: BaseContext
    builder: ir.IRBuilder
    typing: TypingContext
    # For each result whether it does not outlive the function, so that it may lie on the stack if it is small.
    stays: Sequence[bool] = (False,)
    scratch: Scratch | None = None  # within the step of a loop: where its arrays lie
    pieces: Pieces | None = None  # elsewhere: where small ones may lie, in memory that outlives the function
    teams: ir.Value | None = None  # address of the threads that help with loops over tiles, 0 if there are none

    def fail_if(self, condition: ir.Value, exception: type, message: str) -> None:
        """Leave the function with a Python exception, which the object's entries turn into a status."""
        with self.builder.if_then(condition, likely=False):
            self.context.call_conv.return_user_exc(self.builder, exception, (message,))


class Value(NamedTuple):
    """An array or a number, as Numba knows it and as IR has it."""

    kind: types.Type
    value: ir.Value


class View(NamedTuple):
    """An array taken apart."""

    kind: types.Array
    data: ir.Value  # pointer to the first element
    # 64-bit integers; strides in bytes.
    shape: Sequence[ir.Value]
    strides: Sequence[ir.Value]


def numba_dtype(dtype: str | np.dtype) -> types.Type:
    """Numba's type of one element."""
    return from_dtype(np.dtype(dtype))


def array_kind(dtype: str, ndim: int) -> types.Array:
    """Numba's type of a new array."""
    return types.Array(numba_dtype(dtype), ndim, "C")


def view_of(emitter: Emitter, kind: types.Array, value: ir.Value) -> View:
    """Take an array apart."""
    shape = _numbers(emitter, value, _SHAPE, kind.ndim)
    if kind.layout == "C":
        # Where memory runs along the rows, strides follow from the shape, which LLVM can use.
        strides = contiguous_strides(emitter, kind, shape)
    else:
        strides = _numbers(emitter, value, _STRIDES, kind.ndim)
    return View(kind, part(emitter, value, _DATA), shape, strides)


def part(emitter: Emitter, whole: ir.Value, *place: int) -> ir.Value:
    """One part of a structure; if it was put in by IR in sight, that part as it was."""
    seen = whole
    while isinstance(seen, InsertValue) and not _overlap(seen.indices, place):
        seen = seen.aggregate
    if isinstance(seen, InsertValue) and tuple(seen.indices) == place:
        return seen.value
    return emitter.builder.extract_value(seen, place)


def _overlap(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether one of two places in a structure lies in the other."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _numbers(emitter: Emitter, value: ir.Value, field: int, count: int) -> list[ir.Value]:
    return [part(emitter, value, field, axis) for axis in range(count)]


def _packed(emitter: Emitter, view: View, header: ir.Value | None, parent: ir.Value | None = None) -> ir.Value:
    """Make Numba's structure of an array: Numba's own way is by memory, with five times as many instructions."""
    builder = emitter.builder
    n_elements: ir.Value = ONE
    for length in view.shape:
        n_elements = length if n_elements is ONE else builder.mul(n_elements, length, flags=["nsw"])
    struct = emitter.context.get_value_type(view.kind)
    none = ir.Constant(cgutils.voidptr_t, None)
    parts = {_HEADER: none if header is None else header, _PARENT: none if parent is None else parent}
    parts |= {_N_ELEMENTS: n_elements, _ITEMSIZE: WORD(itemsize(emitter, view.kind)), _DATA: view.data}
    whole: ir.Value = ir.Constant(struct, ir.Undefined)
    for field, value in parts.items():
        whole = builder.insert_value(whole, value, field)
    for field, numbers in ((_SHAPE, view.shape), (_STRIDES, view.strides)):
        for axis, number in enumerate(numbers):
            whole = builder.insert_value(whole, number, (field, axis))
    return whole


def contiguous_strides(emitter: Emitter, kind: types.Array, shape: Sequence[ir.Value]) -> list[ir.Value]:
    """Strides in bytes of an array whose rows lie one after the other."""
    strides: list[ir.Value] = []
    step = WORD(itemsize(emitter, kind))
    for length in reversed(shape):
        strides.insert(0, step)
        step = emitter.builder.mul(step, length)
    return strides


def itemsize(emitter: Emitter, kind: types.Array) -> int:
    """Bytes of one element."""
    return as_dtype(kind.dtype).itemsize


def pointer(emitter: Emitter, view: View, indices: Sequence[ir.Value]) -> ir.Value:
    """Pointer to the element at `indices`, which are in range."""
    builder = emitter.builder
    offset = None
    for index, stride in zip(indices, view.strides, strict=True):
        step = builder.mul(index, stride, flags=["nsw"])
        offset = step if offset is None else builder.add(offset, step, flags=["nsw"])
    if offset is None:
        return view.data
    # Not Numba's arithmetic of integers, in which LLVM loses what a pointer points into, and does not vectorise.
    first = builder.bitcast(view.data, cgutils.voidptr_t)
    return builder.bitcast(builder.gep(first, [offset], inbounds=True), view.data.type)


def load(emitter: Emitter, view: View, indices: Sequence[ir.Value]) -> ir.Value:
    """Element at `indices`."""
    return emitter.context.unpack_value(emitter.builder, view.kind.dtype, pointer(emitter, view, indices))


def store(emitter: Emitter, view: View, indices: Sequence[ir.Value], value: ir.Value) -> None:
    """Write the element at `indices`."""
    emitter.context.pack_value(emitter.builder, view.kind.dtype, value, pointer(emitter, view, indices))


def new_array(emitter: Emitter, kind: types.Array, shape: Sequence[ir.Value], number: int = 0) -> tuple[ir.Value, View]:
    """Allocate an array, for result `number`; returns it as a value that the caller owns, and taken apart."""
    context, builder = emitter.context, emitter.builder
    strides = contiguous_strides(emitter, kind, shape)
    element = context.get_data_type(kind.dtype)
    n_elements = _few(shape, _ON_STACK_IN_STEP if emitter.scratch else _ON_STACK)
    if n_elements and (emitter.scratch or emitter.stays[number]):
        # Nobody owns memory of the stack; LLVM keeps what fits in registers there.
        meminfo = None
        data = cgutils.alloca_once(builder, element, size=n_elements)
    else:
        size = builder.mul(strides[0], shape[0]) if shape else WORD(itemsize(emitter, kind))
        align = ir.IntType(32)(context.get_preferred_array_alignment(kind.dtype))
        if emitter.scratch:
            meminfo, block = None, emitter.scratch.block(emitter.context, builder, size, align)
        else:
            meminfo, block = _memory(emitter, size, align)
        data = builder.bitcast(block, element.as_pointer())
    view = View(kind, data, list(shape), strides)
    return _packed(emitter, view, meminfo), view


def _memory(emitter: Emitter, size: ir.Value, align: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Memory of so many bytes: its header, null for a piece, which nobody owns, and where it begins."""
    builder = emitter.builder
    piece = emitter.pieces.next(builder) if emitter.pieces else None
    if piece is None:
        return _allocated(emitter, size, align)
    before = builder.block
    with builder.if_then(builder.icmp_unsigned(">", size, WORD(Pieces.BYTES))):
        header, data = _allocated(emitter, size, align)
        allocated = builder.block
    chosen = either(builder, (piece, before), (data, allocated))
    return either(builder, (ir.Constant(header.type, None), before), (header, allocated)), chosen


def _allocated(emitter: Emitter, size: ir.Value, align: ir.Value) -> tuple[ir.Value, ir.Value]:
    context, builder = emitter.context, emitter.builder
    header = context.nrt.meminfo_alloc_aligned(builder, size, align)
    return header, context.nrt.meminfo_data(builder, header)


def _few(shape: Sequence[ir.Value], most: int) -> int | None:
    """How many elements a shape has, if that is known and at least one and not more than a few."""
    if not all(isinstance(length, ir.Constant) for length in shape):
        return None
    n_elements = math.prod(length.constant for length in shape)
    return n_elements if 1 <= n_elements <= most else None


def array_at(emitter: Emitter, view: View) -> ir.Value:
    """Make an array of memory that nobody here owns."""
    return _packed(emitter, view, None)


def alias(emitter: Emitter, kind: types.Array, source: tuple[types.Array, ir.Value], view: View) -> ir.Value:
    """An array that shares the memory of `source`, seen as `view`; the caller owns the new reference."""
    data = emitter.builder.bitcast(view.data, emitter.context.get_data_type(kind.dtype).as_pointer())
    owner, parent = (part(emitter, source[1], field) for field in (_HEADER, _PARENT))
    return shared(emitter, kind, _packed(emitter, View(kind, data, view.shape, view.strides), owner, parent))


def shared(emitter: Emitter, kind: types.Type, value: ir.Value) -> ir.Value:
    """The same value as one more reference."""
    emitter.context.nrt.incref(emitter.builder, kind, value)
    return value


def scalar(emitter: Emitter, kind: types.Type, value: ir.Value) -> tuple[types.Type, ir.Value]:
    """A number, whether it comes as one or as an array without axes."""
    if not isinstance(kind, types.Array):
        return kind, value
    return kind.dtype, load(emitter, view_of(emitter, kind, value), ())


def integer(emitter: Emitter, kind: types.Type, value: ir.Value) -> ir.Value:
    """A number as a 64-bit integer."""
    number_kind, number = scalar(emitter, kind, value)
    return emitter.context.cast(emitter.builder, number, number_kind, types.int64)


def truth(emitter: Emitter, kind: types.Type, value: ir.Value) -> ir.Value:
    """Whether a number is not zero, as one bit."""
    number_kind, number = scalar(emitter, kind, value)
    return emitter.context.cast(emitter.builder, number, number_kind, types.boolean)


def smaller(emitter: Emitter, one: ir.Value, other: ir.Value) -> ir.Value:
    """The smaller of two signed integers."""
    return emitter.builder.select(emitter.builder.icmp_signed("<", one, other), one, other)


def larger(emitter: Emitter, one: ir.Value, other: ir.Value) -> ir.Value:
    """The larger of two signed integers."""
    return emitter.builder.select(emitter.builder.icmp_signed(">", one, other), one, other)


def from_front(emitter: Emitter, index: ir.Value, length: ir.Value) -> ir.Value:
    """The same index counted from the front, where a negative one counts from the end."""
    builder = emitter.builder
    return builder.select(builder.icmp_signed("<", index, ZERO), builder.add(index, length), index)
