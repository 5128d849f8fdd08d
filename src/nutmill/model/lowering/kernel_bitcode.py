"""The NUTS kernel as LLVM bitcode, compiled by Numba."""

import ctypes

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill._jit import kernel
from nutmill.model.lowering.bitcode import bitcode_only
from nutmill.model.lowering.fuse import Bitcode
from nutmill.native.object import PREFIX
from nutmill.nuts.entry import entry_points, mixing_entry, run_entry

_DENSITY, _SITES = PREFIX + "density", PREFIX + "sites"


def compile_kernel() -> dict[str, Bitcode]:
    """Compile the entry points of the sampler, which call a density that they are not linked with."""
    # Numba loads what it compiles, so the symbol must resolve; nothing in its engine ever calls it.
    for symbol in (_DENSITY, _SITES, *(PREFIX + name for name in ("start", "advance", "pool"))):
        llvm.add_symbol(symbol, ctypes.cast(_unlinked, ctypes.c_void_p).value)

    @kernel
    def density(position, gradient, data):
        return _linked_density(position, gradient, data)

    @kernel
    def sites(position, location, log_scale, data):
        return _linked_sites(position, location, log_scale, data)

    with bitcode_only():
        entries = entry_points(density, sites)._asdict() | {
            "run": run_entry(_linked_start, _linked_advance, _linked_pool),
            "mixing": mixing_entry(),
        }
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
        q, g = _pointers(context, builder, signature, args)
        status = _call(builder, _DENSITY, [*(builder.ptrtoint(pointer, word) for pointer in (q, lp, g)), args[-1]])
        return context.make_tuple(builder, result, [status, builder.load(lp)])

    return result(position, gradient, data), codegen


@intrinsic
def _linked_sites(typingctx, position, location, log_scale, data):
    """Call the sites by their C symbol; returns their status."""

    def codegen(context, builder, signature, args):
        pointers = _pointers(context, builder, signature, args)
        words = [builder.ptrtoint(pointer, ir.IntType(64)) for pointer in pointers]
        return _call(builder, _SITES, [*words, args[-1]])

    return types.int64(position, location, log_scale, data), codegen


@intrinsic
def _linked_start(typingctx, table, chain, data):
    """Call `start` by its C symbol: `run` holds no second copy of it."""
    return types.int64(table, types.int64, types.int64), _calling("start")


@intrinsic
def _linked_advance(typingctx, table, chain, n_draws, data):
    """Call `advance` by its C symbol."""
    return types.int64(table, types.int64, types.int64, types.int64), _calling("advance")


@intrinsic
def _linked_pool(typingctx, table):
    """Call `pool` by its C symbol."""
    return types.int64(table), _calling("pool")


def _calling(entry: str):
    """Make the code generator of a call of another entry point with the arguments as they are."""

    def codegen(context, builder, signature, args):
        return _call(builder, PREFIX + entry, args)

    return codegen


def _pointers(context, builder, signature, args):
    """Where the data lie of all arguments but the last, which are arrays."""
    pairs = zip(signature.args[:-1], args[:-1], strict=True)
    return [context.make_array(array_type)(context, builder, value).data for array_type, value in pairs]


def _call(builder, symbol: str, words):
    """Call a C function of words and pointers; returns its status, widened to a word."""
    function_type = ir.FunctionType(ir.IntType(32), [word.type for word in words])
    function = cgutils.get_or_insert_function(builder.module, function_type, symbol)
    return builder.sext(builder.call(function, words), ir.IntType(64))
