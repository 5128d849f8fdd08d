"""What compiled code depends on besides the model: versions, sources, options, the processor and its C library."""

import hashlib
import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm
import numba
from numba.core import config as numba_options

from nutmill.native.processor import Target
from nutmill.native.vectormath import available

# Their versions are in every key of a model, so their classes and functions may be known by name.
VERSIONED = ("pytensor", "pymc", "pymc_extras", "nutmill")

_NUMBA_OPTIONS = (
    *("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "ENABLE_AVX", "CPU_NAME", "CPU_FEATURES"),
    *("USING_SVML", "DISABLE_JIT", "DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES", "NRT_STATS", "DEBUG_NRT"),
    *("LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS"),
)
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
    versions = {"python": platform.python_version(), "numba": numba.__version__, "llvmlite": llvm_version()}
    options = {name: repr(getattr(numba_options, name, None)) for name in _NUMBA_OPTIONS}
    return machine(target) | versions | {"numba options": _digest(json.dumps(options))}


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
    from pytensor.link.numba.dispatch import basic

    registries = (basic.numba_funcify, basic.numba_funcify_and_cache_key, basic.numba_funcify_default_op_cache_key)
    for registry in registries:
        for op, function in registry.registry.items():
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
    root = Path(__file__).parents[1]
    return digest_of_files(
        [
            root / "_jit.py",
            root / "errors.py",
            *root.glob("nuts/*.py"),
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
