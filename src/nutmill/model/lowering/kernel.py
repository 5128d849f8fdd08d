"""The NUTS kernel as a native object, compiled once per installation; it serves every model."""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from nutmill.model.lowering.environment import digest, digest_of_files, is_current, toolchain
from nutmill.native.cache import recall
from nutmill.native.container import Damaged, Entry, Header, pack, unpack
from nutmill.native.object import NativeObject
from nutmill.native.processor import Target, for_all_models, target
from nutmill.progress.stderr import announce

_log = logging.getLogger("nutmill")

# Levels of x86-64 for which the kernel is compiled when the package is built (`setup.py`).
SHIPPED = ("x86-64-v2", "x86-64-v3", "x86-64-v4")

_OBJECT = "object"

# What the compiled kernel depends on, besides compilers and CPU.
_ROOT = Path(__file__).parents[2]
_OWN = [Path(__file__).with_name(f"{name}.py") for name in ("bitcode", "fuse", "kernel", "kernel_bitcode", "runtime")]
_SOURCES = digest_of_files([_ROOT / "_jit.py", *_ROOT.glob("nuts/**/*.py"), *_OWN])


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
        code = _linked(made_for)
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
        return Entry({}, {_OBJECT: _linked(made_for)})

    return _recall("kernel-object", made_for, make).parts[_OBJECT]


def _linked(made_for: Target) -> bytes:
    from nutmill.model.lowering.fuse import (  # brings Numba, which whoever finds a kernel need not pay for
        Bitcode,
        link_kernel,
    )

    # Numba's bitcode is made for no processor in particular, but its compiler looks at this one.
    entry = _recall("kernel", target(), _bitcode_entry)
    bitcode = {name: Bitcode(bitcode, entry.manifest[name]) for name, bitcode in entry.parts.items()}
    return link_kernel(bitcode, made_for)


def _recall(kind: str, made_for: Target, make: Callable[[], Entry]) -> Entry:
    environment = toolchain(made_for) | {"sources": _SOURCES}
    return recall(kind, digest(environment), environment, make, may_keep=is_current)


def _bitcode_entry() -> Entry:
    from nutmill.model.lowering.kernel_bitcode import compile_kernel  # as above

    compiled = compile_kernel()
    symbols = {name: entry.symbol for name, entry in compiled.items()}
    return Entry(symbols, {name: entry.bitcode for name, entry in compiled.items()})
