"""Decides what is measured, and in which order, so that drifts of the machine fall on all samplers alike."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.caches import INSTALLED, WARM
from benchmarks.figures import BASELINE, OURS
from benchmarks.models.stan import program
from nutmill.comparison.samplers import SAMPLERS


class Settings(NamedTuple):
    """What the user chose: models, samplers, states of the compile caches, seeds, the size of every run, limits."""

    models: tuple[str, ...]
    samplers: tuple[str, ...]
    states: tuple[str, ...]
    seeds: int
    draws: int
    chains: int
    cores: int
    limit_s: float
    minutes: float = 120.0


class Cell(NamedTuple):
    """One process to run."""

    model: str
    sampler: str
    seed: int
    caches: str


def cells(settings: Settings) -> Iterator[Cell]:
    """Yield every cell: the first seed with each of the states, the others on models that are new.

    The samplers take turns on each model, and another one begins at each turn. Only what the caches save is read from a
    model that is known, and only against the baseline: the other peers would draw their draws again.
    """
    turn = 0
    for seed in range(1, settings.seeds + 1):
        for model in settings.models:
            for state in settings.states if seed == 1 else (INSTALLED,):
                first = turn % len(settings.samplers)
                for sampler in settings.samplers[first:] + settings.samplers[:first]:
                    if (state != WARM or sampler in (OURS, BASELINE)) and _can_run(sampler, model):
                        yield Cell(model, sampler, seed, state)
                turn += 1


def _can_run(sampler: str, model: str) -> bool:
    """Whether a sampler that reads a program has one of this model."""
    return not SAMPLERS[sampler].reads_program or program(model).is_file()


def left(settings: Settings, rows: Sequence[dict]) -> list[Cell]:
    """Return the cells that `rows` of an earlier run lack; what it had no time for it does not lack.

    A model of which any is missing is measured again from its first cell on: its samplers are compared with one
    another, so they run in one sitting, and what is warm was filled there.
    """
    planned = list(cells(settings))
    done = {Cell(*(row[name] for name in Cell._fields)) for row in rows}
    broken = {(cell.model, cell.seed) for cell in planned if cell not in done}
    return [cell for cell in planned if (cell.model, cell.seed) in broken]
