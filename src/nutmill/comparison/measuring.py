"""Runs the samplers on a model, one process at a time, in turn, and yields what each run has measured."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nutmill.comparison.caches import environment
from nutmill.comparison.process import run_module
from nutmill.comparison.samplers import SAMPLERS
from nutmill.comparison.samplers.run import Size

COLD, WARM = "cold", "warm"


class Source(NamedTuple):
    """What the processes run: a module like `nutmill.comparison.cell`, and what its loader turns into the model.

    `program` is the path of a Stan program of the same model, for samplers that need one.
    """

    module: str
    model: object
    program: str | None = None


class Settings(NamedTuple):
    """What is compared, how much each run draws, how often, with which first seed, and the time limit of a process."""

    samplers: tuple[str, ...]
    draws: int
    chains: int
    cores: int
    repeats: int
    seed: int
    limit_s: float


def measure(source: Source, settings: Settings, say: Callable[[str], None] = lambda text: None) -> Iterator[dict]:
    """Yield a row for every run, as it ends.

    The first run of a sampler finds caches that know the sampler and not the model; later ones know both. Samplers take
    turns, and another one begins each round. One that fails, or takes too long, is not run again.

    Parameters
    ----------
    say
        Is told what runs next.

    Yields
    ------
    dict
        `sampler`, `repeat` (from 0), `caches`, and either `measurement` (see `cell.reduced`) or `failure`, a sentence.
    """
    with tempfile.TemporaryDirectory(prefix="nutmill-compare-") as scratch:
        alive = list(settings.samplers)
        for sampler in settings.samplers:
            if SAMPLERS[sampler].reads_program:
                continue  # nothing but a program's own code is compiled
            say(f"Making {sampler} ready")
            _run(Source(source.module, None), sampler, settings, Path(scratch), 0)
        for repeat in range(settings.repeats if settings.samplers else 0):
            first = repeat % len(settings.samplers)
            for sampler in settings.samplers[first:] + settings.samplers[:first]:
                if sampler not in alive:
                    continue
                say(f"Round {repeat + 1} of {settings.repeats}: {SAMPLERS[sampler].title}")
                measured = _run(source, sampler, settings, Path(scratch), repeat)
                if "failure" in measured:
                    alive.remove(sampler)
                yield {"sampler": sampler, "repeat": repeat, "caches": WARM if repeat else COLD, **measured}


def _run(source: Source, sampler: str, settings: Settings, scratch: Path, repeat: int) -> dict:
    is_priming = source.model is None
    draws = 10 if is_priming else settings.draws
    size = Size(draws, settings.chains, settings.cores, settings.seed + repeat, tune=10 if is_priming else None)
    options = {"program": source.program} if SAMPLERS[sampler].reads_program else {}
    caches, limit_s = scratch / sampler, settings.limit_s
    return run_sampler(source.module, source.model, sampler, size, caches, limit_s=limit_s, options=options)


def run_sampler(
    module: str, model: object, sampler: str, size: Size, caches: Path, *, limit_s: float, options: Mapping[str, str]
) -> dict:
    """Sample a model once in a process of its own, whose compile caches lie in a folder; see `run_module`.

    Parameters
    ----------
    module
        Hands a loader of models to `cell.main`.
    model
        What that loader turns into the model.
    options
        Of the sampler, besides its own.
    """
    request = {
        "model": model,
        "sampler": sampler,
        "size": size._asdict(),
        "options": options,
        "begun": time.monotonic(),
    }
    return run_module(module, request, variables_of(sampler, size.chains, caches), limit_s)


def variables_of(sampler: str, chains: int, caches: Path) -> dict[str, str]:
    """Return the environment of a process that samples so many chains, and has its compile caches in a folder."""
    variables = environment(caches)
    own = {name: value.format(chains=chains, caches=caches) for name, value in SAMPLERS[sampler].variables.items()}
    flags = [flag for flag in (variables["PYTENSOR_FLAGS"], own.pop("PYTENSOR_FLAGS", "")) if flag]
    return variables | own | {"PYTENSOR_FLAGS": ",".join(flags)}
