"""Decides what is measured, and in which order, so that drifts of the machine fall on all samplers alike."""

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.caches import WARM


class Settings(NamedTuple):
    """What the user chose: models, samplers, states of the compile caches, seeds, and the size of every run."""

    models: tuple[str, ...]
    samplers: tuple[str, ...]
    states: tuple[str, ...]
    seeds: int
    draws: int
    chains: int
    cores: int
    limit_s: float


class Cell(NamedTuple):
    """One process to run."""

    model: str
    sampler: str
    seed: int
    caches: str


def cells(settings: Settings) -> Iterator[Cell]:
    """Yield every cell: the first seed with each of the states, the others with warm caches.

    The samplers take turns on each model, and another one begins at each turn.
    """
    turn = 0
    for seed in range(1, settings.seeds + 1):
        for model in settings.models:
            for state in settings.states if seed == 1 else (WARM,):
                first = turn % len(settings.samplers)
                for sampler in settings.samplers[first:] + settings.samplers[:first]:
                    yield Cell(model, sampler, seed, state)
                turn += 1
