"""Tables of arrays as compiled code takes them: a pointer becomes a named tuple of arrays."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from nutmill.nuts.state import FIELDS, WORDS
from nutmill.nuts.summaries.mixing_room import ROOM_FIELDS


def _reader(fields):
    """Make a function of compiled code that rebuilds a named tuple of arrays from a pointer to its table.

    Nothing is copied. `fields` is such a tuple, with the dtype and rank of each array in its place.
    """

    @intrinsic
    def read(_typing, table):
        kinds = [types.Array(from_dtype(np.dtype(dtype)), ndim, "C") for dtype, ndim in fields]
        result = types.NamedTuple(kinds, type(fields))

        def generate(context, builder, _signature, arguments):
            arrays = []
            for field, kind in enumerate(kinds):
                first = WORDS * field
                words = [
                    builder.load(builder.gep(arguments[0], [ir.Constant(ir.IntType(64), first + k)]))
                    for k in range(1 + kind.ndim)
                ]
                arrays.append(_array_at(context, builder, kind, words[0], words[1:]))
            return context.make_tuple(builder, result, arrays)

        return result(table), generate

    return read


group_state = _reader(FIELDS)
mixing_room = _reader(ROOM_FIELDS)


def _array_at(context, builder, kind, address, shape):
    """Make a contiguous array that owns nothing."""
    array = context.make_array(kind)(context, builder)
    itemsize = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [itemsize]
    for length in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], length))
    data = builder.inttoptr(address, array.data.type)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return array._getvalue()


@intrinsic
def matrices_in(_typing, room, size):
    """View the first numbers of a room as three contiguous square matrices: (k, k', k'') float64 becomes (3, m, m)."""
    kind = types.Array(room.dtype, 3, "C")

    def generate(context, builder, signature, arguments):
        address = builder.ptrtoint(context.make_array(room)(context, builder, arguments[0]).data, ir.IntType(64))
        length = context.cast(builder, arguments[1], signature.args[1], types.int64)
        return _array_at(context, builder, kind, address, [ir.Constant(ir.IntType(64), 3), length, length])

    return kind(room, size), generate
