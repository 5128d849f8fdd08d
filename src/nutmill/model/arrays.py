"""Between words and arrays, inside compiled code: views of the record on the way in, copies on the way out."""

from collections.abc import Callable, Sequence

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from nutmill.native.record import Slot

_WORD = ir.IntType(64)


def make_arguments(slots: Sequence[Slot]) -> Callable:
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


def make_n_dim(slots: Sequence[Slot]) -> Callable:
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


def make_store_gradient(parameters: Sequence[Slot]) -> Callable:
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
    context.compile_internal(builder, _copy_vector if output_type.ndim == 1 else _copy, signature, (target, value))


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
def describe(typingctx, outputs, shapes):
    """Write the lengths of all dimensions of all outputs to `shapes`."""

    def codegen(context, builder, signature, args):
        for index, length in enumerate(_lengths(context, builder, outputs, args[0])):
            builder.store(length, _word_pointer(builder, args[1], index))
        return context.get_dummy_value()

    return types.void(outputs, shapes), codegen


@intrinsic
def fits(typingctx, outputs, shapes):
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
def pack(typingctx, outputs, out):
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
