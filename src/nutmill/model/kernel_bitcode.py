"""The NUTS kernel as LLVM bitcode, compiled by Numba."""

import ctypes

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill._jit import kernel
from nutmill.model.bitcode import bitcode_only
from nutmill.model.fuse import Bitcode
from nutmill.native.object import PREFIX
from nutmill.nuts.entry import entry_points, mixing_entry

_DENSITY = PREFIX + "density"


def compile_kernel() -> dict[str, Bitcode]:
    """Compile the entry points of the sampler, which call a density that they are not linked with."""
    # Numba loads what it compiles, so the symbol must resolve; nothing in its engine ever calls it.
    llvm.add_symbol(_DENSITY, ctypes.cast(_unlinked, ctypes.c_void_p).value)

    @kernel
    def density(position, gradient, data):
        return _linked_density(position, gradient, data)

    with bitcode_only():
        entries = entry_points(density)._asdict() | {"mixing": mixing_entry()}
        return {
            name: Bitcode(entry._library._get_module_for_linking().as_bitcode(), entry.native_name)
            for name, entry in entries.items()
        }


@ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 4)
def _unlinked(q, lp, gradient, data):
    return -1


@intrinsic
def _linked_density(typingctx, position, gradient, data):
    """Call the density by its C symbol; returns its status and the log density."""
    result = types.Tuple((types.int64, types.float64))

    def codegen(context, builder, signature, args):
        word, real = ir.IntType(64), ir.DoubleType()
        lp = cgutils.alloca_once_value(builder, real(0.0))
        q, g = (
            context.make_array(array_type)(context, builder, value).data
            for array_type, value in zip(signature.args[:2], args[:2], strict=True)
        )
        function_type = ir.FunctionType(ir.IntType(32), [word] * 4)
        function = cgutils.get_or_insert_function(builder.module, function_type, _DENSITY)
        words = [builder.ptrtoint(pointer, word) for pointer in (q, lp, g)]
        status = builder.call(function, [*words, args[2]])
        return context.make_tuple(builder, result, [builder.sext(status, word), builder.load(lp)])

    return result(position, gradient, data), codegen
