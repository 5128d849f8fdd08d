"""The samplers that are compared, by name, imported only when they run."""

from collections.abc import Callable
from importlib import import_module

from benchmarks.samplers.run import Run

# Our name -> the module of this package that runs it.
SAMPLERS = {"nutmill": "nutmill", "nutpie": "nutpie", "pymc": "pymc_sampler"}


def load(name: str) -> Callable[..., Run]:
    """Return `run(model, *, draws, chains, cores, seed, tune=None) -> Run` of the sampler called `name`.

    `tune` is how many draws the warmup takes; None leaves it to the sampler.

    Raises
    ------
    KeyError
        If there is no such sampler; the message lists those there are.
    """
    if name not in SAMPLERS:
        raise KeyError(f"no sampler is called {name!r}; choose from {', '.join(SAMPLERS)}")
    return import_module(f"benchmarks.samplers.{SAMPLERS[name]}").run
