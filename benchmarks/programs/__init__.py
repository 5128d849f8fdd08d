"""Compiled models whose bare gradient and whose sampling loop can be timed, by the name of their compiler."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.programs.program import Program

if TYPE_CHECKING:
    import pymc as pm

# Our name -> the module of this package, and the function there.
PROGRAMS = {
    "nutmill": ("nutmill", "fused"),
    "nutmill_pointer": ("nutmill", "through_pointer"),
    "nutpie": ("nutpie", "compiled"),
}


def load(name: str) -> Callable[["pm.Model"], Program]:
    """Return the function that compiles a model with the compiler called `name`, one of `PROGRAMS`."""
    module, function = PROGRAMS[name]
    return getattr(import_module(f"benchmarks.programs.{module}"), function)
