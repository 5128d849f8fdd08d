"""Processors as LLVM knows them: this one, the named levels of x86-64, and what code for one needs of another."""

import platform
from functools import cache
from typing import NamedTuple

import llvmlite.binding as llvm

from nutmill.errors import ModelError

NATIVE = "native"

# What LLVM calls a feature and is no instruction; newer versions do not know it any more.
_NO_INSTRUCTIONS = {"evex512"}

# What each level of x86-64 has over the one before (the System V ABI's table), in LLVM's names.
_LEVELS = {
    "x86-64": ("sse", "sse2"),
    "x86-64-v2": ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"),
    "x86-64-v3": ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"),
    "x86-64-v4": ("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
}


class Target(NamedTuple):
    """A kind of processor that code is made for."""

    name: str  # "native", or a level of x86-64
    triple: str  # architecture and system
    cpu: str  # as LLVM calls it: instructions are timed for it
    features: tuple[str, ...]  # what code for it may use, sorted

    @classmethod
    def from_list(cls, facts: list) -> "Target":
        """Make a target of what JSON made of one."""
        name, triple, cpu, features = facts
        return cls(name, triple, cpu, tuple(features))

    def machine(self) -> llvm.TargetMachine:
        """Describe it to LLVM as a target of its compiler."""
        _initialise()
        wanted = [f"+{feature}" for feature in self.features]
        if self.name == NATIVE:
            wanted = [llvm.get_host_cpu_features().flatten()]
        # Gathers lose against scalar loads on the CPUs that we know: radon's gradient takes 22 us with, 15 without.
        if self.triple.startswith("x86_64"):
            wanted += ["+prefer-no-gather", "+prefer-no-scatter"]
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=",".join(wanted), opt=3, reloc="pic", codemodel="jitdefault", jit=True
        )


@cache
def target(name: str = NATIVE) -> Target:
    """Give the target of a name; raises ModelError if there is no such target for processors of this architecture."""
    triple = llvm.get_process_triple()
    if name == NATIVE:
        features = tuple(sorted({name for name, has in llvm.get_host_cpu_features().items() if has} - _NO_INSTRUCTIONS))
        return Target(NATIVE, triple, llvm.get_host_cpu_name(), features)
    levels = list(_LEVELS) if triple.startswith("x86_64") else []
    if name not in levels:
        raise ModelError(
            f"There is no target {name!r} on this {platform.machine()}: take {_listed([NATIVE, *levels])}."
        )
    reached = levels[: levels.index(name) + 1]
    return Target(name, triple, name, tuple(sorted(feature for level in reached for feature in _LEVELS[level])))


def for_all_models(made_for: Target) -> Target:
    """Give the level of x86-64 that a target reaches: what the kernel is made for; elsewhere the target itself.

    Few kinds of kernel serve all processors, and chains draw the same on all that reach a level.
    """
    levels = list(_LEVELS) if made_for.triple.startswith("x86_64") else []
    reached = [level for level in map(target, levels) if set(level.features) <= set(made_for.features)]
    return reached[-1] if reached else made_for


def obstacle(made_for: Target) -> str | None:
    """Say why code that was made for a target cannot run here; None if it can."""
    here = target()
    if _system(made_for.triple) != _system(here.triple):
        return f"it was made for {made_for.triple}, and this is {here.triple}"
    lacking = sorted(set(made_for.features) - set(here.features))
    if not lacking:
        return None
    return (
        f"it was made for {made_for.cpu}, and this processor ({here.cpu}) lacks {', '.join(lacking)}: compile the "
        f'model here, or for all machines with compile_model(target="x86-64-v3")'
    )


def _system(triple: str) -> tuple[str, str]:
    """Architecture and operating system; the vendor in between is called pc or unknown without any difference."""
    parts = triple.split("-")
    return parts[0], parts[2] if len(parts) > 2 else ""


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@cache
def _initialise() -> None:
    """Wake LLVM's code generator for this processor, as Numba does when it is there."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
