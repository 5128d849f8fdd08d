"""The NUTS kernel as bitcode, compiled once per installation: its density is a symbol that `fuse` resolves later."""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill._jit import kernel
from nutmill.model.bitcode import bitcode_only
from nutmill.model.environment import digest, digest_of_files, is_current, toolchain
from nutmill.model.fuse import Bitcode, fuse_pointer, fuse_shared
from nutmill.native.cache import recall
from nutmill.native.code import SHARED_ENTRIES
from nutmill.native.entry import Entry
from nutmill.native.object import PREFIX, NativeObject
from nutmill.native.processor import Target, target

_DENSITY = PREFIX + "density"

# What the compiled kernel depends on, besides compilers and CPU.
_ROOT = Path(__file__).parents[1]
_OWN = ("bitcode.py", "fuse.py", "kernel.py", "runtime.py")
_SOURCES = digest_of_files([_ROOT / "_jit.py", *_ROOT.glob("nuts/*.py"), *(_ROOT / "model" / name for name in _OWN)])


@cache
def kernel_bitcode() -> dict[str, Bitcode]:
    """Bitcode of the entry points that call the density, from disk if this installation compiled it before."""
    return {name: entry for name, entry in _entries().items() if name not in SHARED_ENTRIES}


@cache
def pointer_kernel() -> NativeObject:
    """The same entry points for models called through a pointer, loaded once a process; see `fuse_pointer`."""
    return NativeObject(
        _recall("pointer", target(), lambda: _object(fuse_pointer(kernel_bitcode(), target()))).parts["object"]
    )


@cache
def shared_kernel(made_for: Target) -> NativeObject:
    """What never calls a density by its symbol, loaded once a process; see `fuse_shared`."""
    return NativeObject(_recall("shared", made_for, lambda: _object(_fuse_shared(made_for))).parts["object"])


def _fuse_shared(made_for: Target) -> bytes:
    entries = {name: entry for name, entry in _entries().items() if name in SHARED_ENTRIES}
    return fuse_shared(entries, made_for)


@cache
def _entries() -> dict[str, Bitcode]:
    # Numba's bitcode is made for no processor in particular, but its compiler looks at this one.
    entry = _recall("kernel", target(), _kernel_entry)
    return {name: Bitcode(bitcode, entry.manifest[name]) for name, bitcode in entry.parts.items()}


def _recall(kind: str, made_for: Target, make: Callable[[], Entry]) -> Entry:
    environment = toolchain(made_for) | {"sources": _SOURCES}
    return recall(kind, digest(environment), environment, make, may_keep=is_current)


def _kernel_entry() -> Entry:
    compiled = _compile()
    symbols = {name: entry.symbol for name, entry in compiled.items()}
    return Entry(symbols, {name: entry.bitcode for name, entry in compiled.items()})


def _object(code: bytes) -> Entry:
    return Entry({}, {"object": code})


def _compile() -> dict[str, Bitcode]:
    from nutmill.nuts.entry import entry_points

    # Numba loads what it compiles, so the symbol must resolve; nothing in its engine ever calls it.
    llvm.add_symbol(_DENSITY, ctypes.cast(_unlinked, ctypes.c_void_p).value)

    @kernel
    def density(position, gradient, data):
        return _linked_density(position, gradient, data)

    with bitcode_only():
        entries = entry_points(density)._asdict()
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
