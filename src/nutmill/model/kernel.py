"""The NUTS kernel as bitcode, compiled once per installation: its density is a symbol that `fuse` resolves later."""

import ctypes
import hashlib
import os
import pickle
import platform
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nutmill._jit import kernel
from nutmill.model.fuse import PREFIX, Bitcode, fuse_pointer
from nutmill.model.native import NativeObject

_DENSITY = PREFIX + "density"


@cache
def kernel_bitcode() -> dict[str, Bitcode]:
    """Bitcode of the kernel's entry points, from disk if this installation compiled it before."""
    return _from_disk("kernel", _compile)


@cache
def pointer_object() -> bytes:
    """Native object of the kernel for models called through a pointer; see `fuse_pointer`."""
    return _from_disk("pointer", lambda: fuse_pointer(kernel_bitcode()))


@cache
def shared_kernel() -> NativeObject:
    """The kernel loaded once a process: all of it for the pointer form, and what never calls a density for both."""
    return NativeObject(pointer_object())


def cache_folder() -> Path:
    """Where compiled code is kept: `NUTMILL_CACHE_DIR`, else the user's cache folder."""
    given = os.environ.get("NUTMILL_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "nutmill"


def _from_disk(kind: str, make):
    path = cache_folder() / f"{kind}-{_key()}.pickle"
    try:
        return pickle.loads(path.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        value = make()
    with suppress(OSError):  # a read-only or full cache costs the next process a compile, nothing else
        _replace(path, pickle.dumps(value))
    return value


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that readers see all of it or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _key() -> str:
    """Digest of all that the compiled kernel depends on: our sources, the compilers, the CPU."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted([root / "_jit.py", *root.glob("nuts/*.py"), root / "model/fuse.py", root / "model/kernel.py"]):
        digest.update(source.read_bytes())
    versions = (numba.__version__, llvmlite.__version__, platform.python_version())
    cpu = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    digest.update(repr((versions, cpu)).encode())
    return digest.hexdigest()[:24]


def _compile() -> dict[str, Bitcode]:
    from nutmill.nuts.entry import entry_points

    # Numba loads what it compiles, so the symbol must resolve; nothing in its engine ever calls it.
    llvm.add_symbol(_DENSITY, ctypes.cast(_unlinked, ctypes.c_void_p).value)

    @kernel
    def density(position, gradient, data):
        return _linked_density(position, gradient, data)

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
