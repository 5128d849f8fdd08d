"""From a PyTensor graph to LLVM bitcode: Numba compiles it, small intrinsics of ours feed and empty it.

Every entry takes plain 64-bit words (addresses and counts), so that C, ctypes and our own kernel call it alike:

    density(q, lp, gradient, record)
    expand(q, n_draws, out, row_bytes, shapes, record)
    prepare(out, shapes, record)

`out == 0` asks `expand` and `prepare` for the shapes of their outputs only. Outputs are packed: each begins at the
next multiple of eight bytes, in its own dtype.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from nutmill.errors import Status
from nutmill.model.record import Slot

_WORD = ir.IntType(64)

# Only native code calls an entry, so the wrappers that Numba would add for Python are left out.
_entry = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_OK, _BAD_SHAPE = int(Status.OK), int(Status.BAD_SHAPE)


class Lowered(NamedTuple):
    """One compiled function: its bitcode, the symbol in it, how many words it takes, and where it is loaded."""

    bitcode: bytes
    symbol: str
    n_words: int
    address: int  # in Numba's own engine, in Numba's calling convention


def density_entry(graph: Callable, slots: Sequence[Slot]) -> Lowered:
    """Wrap njit `graph(*parameters, *arrays) -> (logp, *gradients)` as `density`."""
    arguments = _arguments(slots)
    store_gradient = _store_gradient([slot for slot in slots if slot.is_parameter])

    @_entry
    def density(q, lp, gradient, record):
        store_gradient(graph(*arguments(q, record)), lp, gradient, record)
        return _OK

    return _lower(density, 4)


def native_density_entry(native: Callable, slots: Sequence[Slot], *, data_is_tuple: bool) -> Lowered:
    """Wrap a user's njit `native(q, gradient, data) -> logp` as `density`."""
    arguments = _arguments(slots)
    store_lp = _store_gradient([])

    @_entry
    def density_of_tuple(q, lp, gradient, record):
        views = arguments(q, record)
        value = native(views[0], arguments(gradient, record)[0], views[1:])
        store_lp((value,), lp, gradient, record)
        return _OK

    @_entry
    def density_of_array(q, lp, gradient, record):
        views = arguments(q, record)
        value = native(views[0], arguments(gradient, record)[0], views[1])
        store_lp((value,), lp, gradient, record)
        return _OK

    return _lower(density_of_tuple if data_is_tuple else density_of_array, 4)


def expand_entry(graph: Callable, slots: Sequence[Slot]) -> Lowered:
    """Wrap njit `graph(*parameters, *arrays) -> outputs` as `expand`, a loop over draws."""
    arguments = _arguments(slots)
    n_dim_words = _n_dim(slots)

    @_entry
    def expand(q, n_draws, out, row_bytes, shapes, record):
        if out == 0:
            _describe(graph(*arguments(q, record)), shapes)
            return _OK
        for draw in range(n_draws):
            outputs = graph(*arguments(q + 8 * draw * n_dim_words(record), record))
            if not _fits(outputs, shapes):
                return _BAD_SHAPE
            _pack(outputs, out + draw * row_bytes)
        return _OK

    return _lower(expand, 6)


def prepare_entry(graph: Callable, slots: Sequence[Slot]) -> Lowered:
    """Wrap njit `graph(*arrays) -> outputs` as `prepare`."""
    arguments = _arguments(slots)

    @_entry
    def prepare(out, shapes, record):
        outputs = graph(*arguments(0, record))
        if out == 0:
            _describe(outputs, shapes)
            return _OK
        if not _fits(outputs, shapes):
            return _BAD_SHAPE
        _pack(outputs, out)
        return _OK

    return _lower(prepare, 3)


def _lower(entry: Callable, n_words: int) -> Lowered:
    signature = (types.int64,) * n_words
    entry.compile(signature)
    overload = entry.overloads[signature]
    symbol = overload.fndesc.llvm_func_name
    bitcode = overload.library._get_module_for_linking().as_bitcode()
    return Lowered(bitcode, symbol, n_words, overload.library.get_pointer_to_function(symbol))


def _arguments(slots: Sequence[Slot]) -> Callable:
    """Make the intrinsic `arguments(q, record) -> tuple of arrays`, views of the position and of the data."""
    array_types = [types.Array(numba.from_dtype(slot.dtype), slot.ndim, "C") for slot in slots]

    @intrinsic
    def arguments(typingctx, q, record):
        result = types.Tuple(array_types)

        def codegen(context, builder, signature, args):
            views = [_view(context, builder, args, *pair) for pair in zip(slots, array_types, strict=True)]
            return context.make_tuple(builder, result, views)

        return result(q, record), codegen

    return arguments


def _view(context, builder, args, slot: Slot, array_type: types.Array):
    q, record = args
    where = _load(builder, record, slot.word)
    if slot.is_parameter:
        where = builder.add(q, builder.mul(where, _WORD(slot.dtype.itemsize)))
    shape = [_load(builder, record, slot.word + 1 + axis) for axis in range(slot.ndim)]
    return _array_at(context, builder, array_type, where, shape)


def _array_at(context, builder, array_type: types.Array, address, shape):
    array = context.make_array(array_type)(context, builder)
    itemsize = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    strides, stride = [], _WORD(itemsize)
    for length in reversed(shape):
        strides.insert(0, stride)
        stride = builder.mul(stride, length)
    populate_array(
        array,
        data=builder.inttoptr(address, array.data.type),
        shape=shape,
        strides=strides,
        itemsize=itemsize,
        meminfo=None,
    )
    return array._getvalue()


def _load(builder, base, word: int):
    pointer = builder.inttoptr(builder.add(base, _WORD(8 * word)), _WORD.as_pointer())
    return builder.load(pointer)


def _n_dim(slots: Sequence[Slot]) -> Callable:
    """Make the intrinsic `n_dim(record)`: the number of values of all parameters."""

    @intrinsic
    def n_dim(typingctx, record):
        def codegen(context, builder, signature, args):
            total = _WORD(0)
            for slot in slots:
                if slot.is_parameter:
                    size = _WORD(1)
                    for axis in range(slot.ndim):
                        size = builder.mul(size, _load(builder, args[0], slot.word + 1 + axis))
                    total = builder.add(total, size)
            return total

        return types.int64(record), codegen

    return n_dim


def _store_gradient(parameters: Sequence[Slot]) -> Callable:
    """Make the intrinsic that writes `(logp, *gradients)` where the caller wants them."""

    @intrinsic
    def store_gradient(typingctx, outputs, lp, gradient, record):
        def codegen(context, builder, signature, args):
            values, lp_at, gradient_at, words = args
            _assign(context, builder, _item(builder, outputs, values, 0), types.float64, lp_at)
            for index, slot in enumerate(parameters, start=1):
                offset = builder.mul(_load(builder, words, slot.word), _WORD(8))
                destination = builder.add(gradient_at, offset)
                _assign(context, builder, _item(builder, outputs, values, index), types.float64, destination)
            return context.get_dummy_value()

        return types.void(outputs, lp, gradient, record), codegen

    return store_gradient


def _item(builder, outputs: types.BaseTuple, values, index: int):
    """Type and value of one output; a tuple of arrays, a tuple of anything else."""
    return outputs[index], builder.extract_value(values, index)


def _assign(context, builder, output, dtype: types.Type, address):
    """Copy one output, array or scalar, to `address` as a C-contiguous array of `dtype`."""
    output_type, value = output
    if not isinstance(output_type, types.Array):
        pointer = builder.inttoptr(address, context.get_data_type(dtype).as_pointer())
        builder.store(context.cast(builder, value, output_type, dtype), pointer)
        return
    target_type = types.Array(dtype, output_type.ndim, "C")
    shape = _shape(context, builder, output)
    target = _array_at(context, builder, target_type, address, shape)
    signature = types.void(target_type, output_type)
    context.compile_internal(
        builder, _copy_vector if output_type.ndim == 1 else _copy, signature, (target, value)
    )


# Plain loops: NumPy's assignment brings broadcasting, and with it a page of error handling.
def _copy_vector(target, source):
    for i in range(len(source)):
        target[i] = source[i]


def _copy(target, source):
    for index in np.ndindex(source.shape):
        target[index] = source[index]


def _shape(context, builder, output):
    output_type, value = output
    if not isinstance(output_type, types.Array):
        return []
    array = context.make_array(output_type)(context, builder, value)
    return cgutils.unpack_tuple(builder, array.shape, output_type.ndim)


@intrinsic
def _describe(typingctx, outputs, shapes):
    """Write the lengths of all dimensions of all outputs to `shapes`."""

    def codegen(context, builder, signature, args):
        for index, length in enumerate(_lengths(context, builder, outputs, args[0])):
            builder.store(length, _word_pointer(builder, args[1], index))
        return context.get_dummy_value()

    return types.void(outputs, shapes), codegen


@intrinsic
def _fits(typingctx, outputs, shapes):
    """Tell whether the outputs still have the shapes that were described."""

    def codegen(context, builder, signature, args):
        equal = ir.IntType(1)(1)
        for index, length in enumerate(_lengths(context, builder, outputs, args[0])):
            expected = builder.load(_word_pointer(builder, args[1], index))
            equal = builder.and_(equal, builder.icmp_signed("==", length, expected))
        return equal

    return types.boolean(outputs, shapes), codegen


def _lengths(context, builder, outputs, values):
    for index in range(len(outputs)):
        yield from _shape(context, builder, _item(builder, outputs, values, index))


def _word_pointer(builder, base, index: int):
    return builder.inttoptr(builder.add(base, _WORD(8 * index)), _WORD.as_pointer())


@intrinsic
def _pack(typingctx, outputs, out):
    """Copy all outputs to `out`, each at the next multiple of eight bytes, in its own dtype."""

    def codegen(context, builder, signature, args):
        address = args[1]
        for index in range(len(outputs)):
            output_type, value = _item(builder, outputs, args[0], index)
            dtype = output_type.dtype if isinstance(output_type, types.Array) else output_type
            _assign(context, builder, (output_type, value), dtype, address)
            n_bytes = _WORD(context.get_abi_sizeof(context.get_data_type(dtype)))
            for length in _shape(context, builder, (output_type, value)):
                n_bytes = builder.mul(n_bytes, length)
            address = builder.add(address, builder.and_(builder.add(n_bytes, _WORD(7)), _WORD(-8)))
        return context.get_dummy_value()

    return types.void(outputs, out), codegen


def packed_sizes(dtypes: Sequence[np.dtype], shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Bytes that each output takes where `expand` and `prepare` pack them."""
    sizes = [
        int(np.prod(shape)) * np.dtype(dtype).itemsize for dtype, shape in zip(dtypes, shapes, strict=True)
    ]
    return [(size + 7) & -8 for size in sizes]
