"""The door through which samplers get into `pm.sample`: a function of PyMC that is called with the sampler's name."""

import functools
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import pymc as pm
from pymc.sampling import mcmc
from pytensor.compile.mode import get_mode
from pytensor.link.numba.linker import NumbaLinker

from nutmill.errors import NutmillError
from nutmill.pymc.nuts import NUTS, warn_of

NAME = "nutmill"
# A private function of PyMC 5.28 to 6.4: there is no public way for a name, nor an entry point.
_DOOR = "_sample_external_nuts"
_BEHIND = "__nutmill_behind__"
_OF_PYMC = ("pymc", "nutpie", "numpyro", "blackjax")
# What every caller passes on, and NUTS.sample_from_init takes.
_SHARED = (
    *("draws", "chains", "tune", "random_seed", "initvals", "model", "var_names", "progressbar", "quiet"),
    *("idata_kwargs", "compute_convergence_checks"),
)


def plug_in() -> None:
    """Let `pm.sample(nuts_sampler="nutmill")` find nutmill. To do it twice is to do it once.

    Raises NutmillError if this PyMC takes samplers in another way.
    """
    door = getattr(mcmc, _DOOR, None)
    if door is None:
        raise NutmillError(
            f"PyMC {pm.__version__} takes samplers in another way than nutmill knows: "
            "call nutmill.sample_numba(model) in place of pm.sample, or take PyMC 6.4."
        )
    if not hasattr(door, _BEHIND):
        setattr(mcmc, _DOOR, _with_nutmill(door))


def unplug() -> None:
    """Give PyMC back what `plug_in` has replaced."""
    door = getattr(mcmc, _DOOR, None)
    if hasattr(door, _BEHIND):
        setattr(mcmc, _DOOR, getattr(door, _BEHIND))


def _with_nutmill(door: Callable) -> Callable:
    @functools.wraps(door)
    def sample_external_nuts(sampler: str, *arguments: Any, **given: Any):
        if sampler == NAME and not arguments:
            return _sample(given, sys._getframe(1).f_locals)
        if sampler not in _OF_PYMC and get_close_matches(sampler, [NAME]):
            raise ValueError(f"Sampler {sampler} not found. Is {NAME!r} meant?")
        return door(sampler, *arguments, **given)

    setattr(sample_external_nuts, _BEHIND, door)
    return sample_external_nuts


def _sample(given: dict[str, Any], of_caller: Mapping[str, Any]):
    """Sample as `pm.sample` was asked to.

    PyMC 5 does not pass all on that it was asked for: the rest is read from where its function stands.
    """
    run = {name: given.pop(name) for name in _SHARED}
    for name in ("cores", "discard_tuned_samples"):
        run[name] = given.pop(name, of_caller.get(name))
    compile_kwargs = given.pop("compile_kwargs", None) or of_caller.get("compile_kwargs") or {}
    given.pop("progressbar_theme", None)
    options = {**(given.pop("nuts_kwargs", None) or {}), **(given.pop("nuts_sampler_kwargs", None) or {}), **given}
    _warn_of_what_is_not_used(compile_kwargs, of_caller)
    return NUTS(**options).sample_from_init(**run)


def _warn_of_what_is_not_used(compile_kwargs: Mapping[str, Any], of_caller: Mapping[str, Any]) -> None:
    mode = compile_kwargs.get("mode")
    if mode is not None and not isinstance(get_mode(mode).linker, NumbaLinker):
        warn_of("backend or compile_kwargs['mode']", "it always compiles by Numba and LLVM, for the processor.")
    if rest := sorted(set(compile_kwargs) - {"mode"}):
        warn_of(f"compile_kwargs {', '.join(rest)}", "it compiles in its own way.")
    if of_caller.get("callback") is not None:
        warn_of("callback", "chains run without Python; that of nuts_sampler_kwargs is called about once a second.")
