"""The NUTS kernel as a native object, compiled once per installation; it serves every model."""

import ctypes
import logging
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
from nutmill.model.fuse import Bitcode, link_kernel
from nutmill.native.cache import recall
from nutmill.native.entry import Damaged, Entry, Header, pack, unpack
from nutmill.native.object import PREFIX, NativeObject
from nutmill.native.processor import Target, for_all_models, target
from nutmill.stderr import announce

_log = logging.getLogger("nutmill")

# Levels of x86-64 for which the kernel is compiled when the package is built (`setup.py`).
SHIPPED = ("x86-64-v2", "x86-64-v3", "x86-64-v4")

_DENSITY = PREFIX + "density"
_OBJECT = "object"

# What the compiled kernel depends on, besides compilers and CPU.
_ROOT = Path(__file__).parents[1]
_OWN = ("bitcode.py", "fuse.py", "kernel.py", "runtime.py")
_SOURCES = digest_of_files([_ROOT / "_jit.py", *_ROOT.glob("nuts/*.py"), *(_ROOT / "model" / name for name in _OWN)])


def kernel_object(made_for: Target) -> NativeObject:
    """The kernel for models that are made for a target, loaded once a process: the package's, or compiled."""
    return _loaded(for_all_models(made_for))


@cache
def _loaded(made_for: Target) -> NativeObject:
    return NativeObject(_shipped(made_for) or _compiled(made_for))


def write_kernels(folder: Path) -> None:
    """Write the kernel for each level of processors that a package is made for, as `_shipped` finds it."""
    folder.mkdir(exist_ok=True)
    for made_for in map(target, SHIPPED):
        code = link_kernel(_bitcode(), made_for)
        header = Header(_OBJECT, "", _origin(made_for), "the sampler", {}, [])
        (folder / _file_name(made_for)).write_bytes(pack(header, {_OBJECT: code}))


def _shipped(made_for: Target) -> bytes | None:
    """Machine code that came with the package; None if there is none for these processors, or of these sources."""
    path = _ROOT / "kernels" / _file_name(made_for)
    try:
        header, parts = unpack(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, Damaged) as error:
        _log.warning("%s is not used, and the sampler is compiled: %s", path, error)
        return None
    if header.environment != _origin(made_for):
        _log.info("the sampler is compiled, because its sources have changed since %s was made", path)
        return None
    return parts[_OBJECT]


def _origin(made_for: Target) -> dict[str, str]:
    return {"sources": _SOURCES, "target": made_for.name, "triple": made_for.triple}


def _file_name(made_for: Target) -> str:
    return f"{made_for.name}.kernel"


def _compiled(made_for: Target) -> bytes:
    def make() -> Entry:
        announce("Compiling the sampler, once per installation")
        return Entry({}, {_OBJECT: link_kernel(_bitcode(), made_for)})

    return _recall("kernel-object", made_for, make).parts[_OBJECT]


def _bitcode() -> dict[str, Bitcode]:
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


def _compile() -> dict[str, Bitcode]:
    from nutmill.nuts.entry import entry_points, mixing_entry

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
