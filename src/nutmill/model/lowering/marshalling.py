"""Between words and arrays, in LLVM IR: views of the record on the way in, copies on the way out."""

from collections.abc import Iterator, Sequence

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.model.lowering.inline.arrays import (
    WORD,
    Emitter,
    Value,
    View,
    array_at,
    contiguous_strides,
    itemsize,
    load,
    store,
    view_of,
)
from nutmill.native.record import Slot


def arguments(emitter: Emitter, slots: Sequence[Slot], q: ir.Value, record: ir.Value) -> list[Value]:
    """Make arrays of what lies in the record: views of the position at address `q`, and of the data."""
    return [_argument(emitter, slot, q, record) for slot in slots]


def _argument(emitter: Emitter, slot: Slot, q: ir.Value, record: ir.Value) -> Value:
    builder = emitter.builder
    where = word_at(emitter, record, slot.word)
    if slot.is_parameter:
        where = builder.add(q, builder.mul(where, WORD(slot.dtype.itemsize)))
    shape = [word_at(emitter, record, slot.word + 1 + axis) for axis in range(slot.ndim)]
    kind = types.Array(numba.from_dtype(slot.dtype), slot.ndim, "C")
    return Value(kind, array_at(emitter, _view_at(emitter, kind, where, shape)))


def n_dim(emitter: Emitter, slots: Sequence[Slot], record: ir.Value) -> ir.Value:
    """Count the values of all parameters."""
    total = WORD(0)
    for slot in slots:
        if slot.is_parameter:
            size = WORD(1)
            for axis in range(slot.ndim):
                size = emitter.builder.mul(size, word_at(emitter, record, slot.word + 1 + axis))
            total = emitter.builder.add(total, size)
    return total


def store_gradient(
    emitter: Emitter, parameters: Sequence[Slot], outputs: Sequence[Value], words: Sequence[ir.Value]
) -> None:
    """Write log density and gradients where `words`, (lp, gradient, record), say."""
    lp, gradient, record = words
    store_at(emitter, outputs[0], types.float64, lp)
    store_pieces(emitter, parameters, outputs[1:], (gradient, record))


def store_pieces(
    emitter: Emitter, parameters: Sequence[Slot], outputs: Sequence[Value], words: Sequence[ir.Value]
) -> None:
    """Write an output for each of some parameters where that lies in a vector, `words` are (vector, record)."""
    vector, record = words
    for slot, output in zip(parameters, outputs, strict=True):
        offset = emitter.builder.mul(word_at(emitter, record, slot.word), WORD(8))
        store_at(emitter, output, types.float64, emitter.builder.add(vector, offset))


def store_at(emitter: Emitter, output: Value, dtype: types.Type, address: ir.Value) -> None:
    """Copy an array or a number to `address`, as an array of `dtype` whose rows lie one after the other."""
    context, builder = emitter.context, emitter.builder
    source = _view(emitter, output)
    target = _view_at(emitter, types.Array(dtype, len(source.shape), "C"), address, source.shape)
    with cgutils.loop_nest(builder, source.shape, WORD) as indices:
        value = load(emitter, source, indices) if isinstance(output.kind, types.Array) else output.value
        store(emitter, target, indices, context.cast(builder, value, source.kind.dtype, dtype))


def describe(emitter: Emitter, outputs: Sequence[Value], shapes: ir.Value) -> None:
    """Write the lengths of all dimensions of all outputs to `shapes`."""
    for index, length in enumerate(_lengths(emitter, outputs)):
        emitter.builder.store(length, _place(emitter, shapes, index))


def fit(emitter: Emitter, outputs: Sequence[Value], shapes: ir.Value) -> ir.Value:
    """Tell whether the outputs still have the shapes that were described."""
    builder, equal = emitter.builder, cgutils.true_bit
    for index, length in enumerate(_lengths(emitter, outputs)):
        expected = word_at(emitter, shapes, index)
        equal = builder.and_(equal, builder.icmp_signed("==", length, expected))
    return equal


def pack(emitter: Emitter, outputs: Sequence[Value], out: ir.Value) -> None:
    """Copy all outputs to `out`, each at the next multiple of eight bytes, in its own dtype."""
    builder = emitter.builder
    for output in outputs:
        view = _view(emitter, output)
        store_at(emitter, output, view.kind.dtype, out)
        n_bytes = WORD(itemsize(emitter, view.kind))
        for length in view.shape:
            n_bytes = builder.mul(n_bytes, length)
        out = builder.add(out, builder.and_(builder.add(n_bytes, WORD(7)), WORD(-8)))


def _lengths(emitter: Emitter, outputs: Sequence[Value]) -> Iterator[ir.Value]:
    for output in outputs:
        yield from _view(emitter, output).shape


def _view(emitter: Emitter, output: Value) -> View:
    """Take an array apart; a number has no place."""
    if isinstance(output.kind, types.Array):
        return view_of(emitter, output.kind, output.value)
    return View(types.Array(output.kind, 0, "C"), None, [], [])


def _view_at(emitter: Emitter, kind: types.Array, address: ir.Value, shape: Sequence[ir.Value]) -> View:
    data = emitter.builder.inttoptr(address, emitter.context.get_data_type(kind.dtype).as_pointer())
    return View(kind, data, shape, contiguous_strides(emitter, kind, shape))


def word_at(emitter: Emitter, base: ir.Value, index: int) -> ir.Value:
    """One of the words that begin at an address."""
    return emitter.builder.load(_place(emitter, base, index))


def _place(emitter: Emitter, base: ir.Value, index: int) -> ir.Value:
    return emitter.builder.inttoptr(emitter.builder.add(base, WORD(8 * index)), WORD.as_pointer())
