"""What compiled code depends on besides the model: versions, sources, options, the processor and its C library."""

import ctypes
import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

from nutmill.native.libmvec import available
from nutmill.native.processor import Target

# Their versions are in every key of a model, so their classes and functions may be known by name.
VERSIONED = ("pytensor", "pymc", "pymc_extras", "nutmill")

# What Numba does unless told otherwise, by the environment, a file, or a program. That it uses AVX is in the target.
_NUMBA_OPTIONS = {
    **{"OPT": 3, "LOOP_VECTORIZE": 1, "SLP_VECTORIZE": 0, "BOUNDSCHECK": None, "CPU_NAME": None, "CPU_FEATURES": None},
    **{"USING_SVML": False, "DISABLE_JIT": 0, "DEBUGINFO_DEFAULT": 0, "EXTEND_VARIABLE_LIFETIMES": 0, "NRT_STATS": 0},
    **{"DEBUG_NRT": 0, "LLVM_REFPRUNE_PASS": 1, "LLVM_REFPRUNE_FLAGS": "all"},
}
_NUMBA_FILE, _SVML = ".numba_config.yaml", "libsvml.so"
_NUMBA_FORMS = ("numba_funcify", "numba_funcify_and_cache_key", "numba_funcify_default_op_cache_key")
_PYTENSOR_OPTIONS = (
    *("floatX", "cast_policy", "mode", "linker", "allow_gc", "optimizer", "optimizer_excluding"),
    *("optimizer_including", "optimizer_requiring", "on_opt_error", "on_shape_error", "check_input"),
    *("compute_test_value", "cycle_detection", "optdb__position_cutoff", "optdb__max_use_ratio", "lib__amdlibm"),
    *("tensor__insert_inplace_optimizer_validate_nb", "scan__allow_gc", "scan__allow_output_prealloc"),
    *("numba__vectorize_target", "numba__fastmath"),
)


@cache
def machine(target: Target) -> dict[str, str]:
    """Describe the processor as LLVM compiles for it, and the vector functions of its C library."""
    return {
        "cpu": target.cpu,
        "features": _digest(",".join(target.features)),
        "triple": target.triple,
        "vector functions": _digest(json.dumps(available(target), sort_keys=True)),
    }


def toolchain(target: Target) -> dict[str, str]:
    """Describe the machine, and the compilers with their options: what the code of the kernel depends on."""
    versions = {"python": platform.python_version(), "numba": _version("numba"), "llvmlite": llvm_version()}
    options = {name: repr(value) for name, value in numba_options().items()}
    return machine(target) | versions | {"numba options": _digest(json.dumps(options))}


def numba_options() -> dict[str, object]:
    """Options of Numba that are not its own choice, by name.

    Numba takes half a second to import, which a model whose code is known need not pay: options are read from it if it
    is there or something could have changed them before it is.
    """
    if "numba" not in sys.modules and not _are_options_given():
        return {}
    from numba.core import config

    found = {name: getattr(config, name, usual) for name, usual in _NUMBA_OPTIONS.items()}
    return {name: value for name, value in found.items() if value != _NUMBA_OPTIONS[name]}


def _are_options_given() -> bool:
    return (
        any(f"NUMBA_{name}" in os.environ for name in _NUMBA_OPTIONS)
        or Path(_NUMBA_FILE).is_file()
        or _can_be_loaded(_SVML)
    )


def _can_be_loaded(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def for_models(target: Target) -> dict[str, str]:
    """Describe all that the code of a model depends on, apart from the model."""
    options = {name: repr(value) for name, value in pytensor_options().items()}
    versions = {name: _version(name) for name in ("numpy", "scipy", *VERSIONED) if name != "pymc_extras"}
    if "pymc_extras" in sys.modules:  # it adds rewrites when it is imported, and costs seconds
        versions["pymc_extras"] = _version("pymc_extras")
    return toolchain(target) | versions | {"pytensor options": _digest(json.dumps(options)), "sources": _SOURCES}


def pytensor_options() -> dict[str, object]:
    """Options of PyTensor that change what it makes of a graph, by name; those that this version has."""
    from pytensor import config

    missing = object()
    found = {name: getattr(config, name, missing) for name in _PYTENSOR_OPTIONS}
    return {name: value for name, value in found.items() if value is not missing}


def llvm_version() -> str:
    """Version of llvmlite, and of the LLVM in it."""
    return f"{_version('llvmlite')} with LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def digest(facts: Mapping[str, str]) -> str:
    """Digest of named facts, for the name of a file."""
    return _digest(json.dumps(dict(facts), sort_keys=True))


def digest_of_files(paths: Iterable[Path]) -> str:
    """Digest of the contents of files, in the order of their paths."""
    hasher = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        hasher.update(f"{path.name} {len(content)}\n".encode() + content)
    return hasher.hexdigest()[:32]


def customised(*databases) -> str | None:
    """Say what the user has put in the place of PyTensor's own code, if anything: no version tells it apart.

    `databases` are of rewrites, besides PyTensor's own.
    """
    for name, made_of in _replaceable(databases):
        if made_of.__module__.split(".")[0] not in VERSIONED:
            return f"{name} was registered by {made_of.__module__}"
    return None


def _replaceable(databases: Iterable) -> Iterator[tuple[str, Callable]]:
    """Numba forms of the ops that a key may contain, and all rewrites: a name for each, its function or class."""
    from pytensor.compile.mode import optdb

    # Nobody has registered anything with a module that is not there, and importing it takes as long as a short run.
    forms = sys.modules.get("pytensor.link.numba.dispatch.basic")
    for name in _NUMBA_FORMS if forms else ():
        for op, function in getattr(forms, name).registry.items():
            if op.__module__.split(".")[0] in VERSIONED:
                yield f"the Numba form of {op.__name__}", function
    for database in (optdb, *databases):
        yield from _rewrites(database, set())


def _rewrites(database, seen: set[int]) -> Iterator[tuple[str, Callable]]:
    """All rewrites of a PyTensor database and of those in it, down to the functions or classes they are made of."""
    for members in database.__db__.values():
        for member in members:
            if id(member) in seen:
                continue
            seen.add(id(member))
            if isinstance(getattr(member, "__db__", None), dict):
                yield from _rewrites(member, seen)
            else:
                node_rewriter = getattr(member, "node_rewriter", None) or member
                for single in getattr(node_rewriter, "rewrites", [node_rewriter]):
                    made_of = getattr(single, "fn", None) or type(single)
                    yield f"the rewrite {made_of.__name__}", made_of


def _own_sources() -> str:
    root = Path(__file__).parents[2]
    return digest_of_files(
        [
            root / "_jit.py",
            root / "errors.py",
            *root.glob("nuts/**/*.py"),
            *root.glob("native/*.py"),
            *root.glob("model/**/*.py"),
        ]
    )


# Taken early: an editor may change a file after Python has read it.
_SOURCES = _own_sources()


def is_current() -> bool:
    """Whether this process runs the sources that lie on the disk; what it makes belongs to those that it began with."""
    return _own_sources() == _SOURCES


@cache
def _version(distribution: str) -> str:
    return version(distribution)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
