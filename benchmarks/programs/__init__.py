"""Compiled models whose bare gradient and whose sampling loop can be timed, by the name of their compiler."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.programs.program import Program

if TYPE_CHECKING:
    import pymc as pm

# Names of the compilers, each of a module of this package.
PROGRAMS = ("nutmill", "nutpie")


def load(name: str) -> Callable[["pm.Model"], Program]:
    """Return the function that compiles a model with the compiler called `name`, one of `PROGRAMS`."""
    return import_module(f"benchmarks.programs.{name}").compiled
