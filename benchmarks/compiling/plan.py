"""Decides which cells are measured, in which order, with which caches, and which are too slow to be repeated."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import models
from benchmarks.caches import INSTALLED, Caches
from nutmill.comparison.rounds import environment, run_module

OURS = "nutmill"

# Names of cells. The first four are measured for every sampler, new data for those that take it, the rest for nutmill.
FIRST_EVER, COLD, WARM, OTHER_DATA = "first run ever", "cold", "warm", "other data"
NEW_DATA, ARTIFACT, ISOLATED, IN_PROCESS, CALL = "new data", "artifact", "isolated", "in process", "call"

# Sizes of another data set, of the models whose files let them be chosen.
OTHER_SIZES = {
    "radon": {"rows": 9_000},
    "regression": {"rows": 15_000},
    "gaussian_process": {"points": 150},
    "lkj_20": {"rows": 400},
    "irt": {"persons": 300},
}
TAKE_NEW_DATA = ("nutmill", "nutpie")
NEW_DATA_MODEL = "regression"


class Settings(NamedTuple):
    """What the user chose: names of models and samplers, rounds, and limits of a process in seconds of wall time.

    A cell that took longer than `once_above_s` is not measured again in later rounds.
    """

    models: tuple[str, ...]
    samplers: tuple[str, ...]
    rounds: int
    once_above_s: float
    limit_s: float


class Cell(NamedTuple):
    """One process to run."""

    model: str
    sampler: str
    cell: str
    round: int


def cells(settings: Settings) -> Iterator[Cell]:
    """Yield every cell in order: samplers take turns within each state of the caches, and in going first."""
    for sampler in settings.samplers:
        yield Cell(models.PRIMING, sampler, FIRST_EVER, 1)
    for number in range(1, settings.rounds + 1):
        for turn, model in enumerate(settings.models, start=number):
            first = turn % len(settings.samplers)
            samplers = settings.samplers[first:] + settings.samplers[:first]
            for name in (COLD, WARM, OTHER_DATA) if model in OTHER_SIZES else (COLD, WARM):
                yield from (Cell(model, sampler, name, number) for sampler in samplers)
            if model == NEW_DATA_MODEL:
                yield from (Cell(model, sampler, NEW_DATA, number) for sampler in samplers if sampler in TAKE_NEW_DATA)
            if OURS in samplers:
                # The two that compile anew come last: they begin with fresh copies of the caches.
                yield from (Cell(model, OURS, name, number) for name in (CALL, ARTIFACT, IN_PROCESS, ISOLATED))


class Bench:
    """Runs cells one at a time, each in a process of its own, with caches below the folder `scratch`."""

    def __init__(self, settings: Settings, scratch: Path):
        self.settings = settings
        self.caches = Caches(scratch)
        self._artifact = scratch / "model.nut"
        self._slow: set[tuple[str, str, str]] = set()

    def rows(self) -> Iterator[dict]:
        """Yield a row for every cell that is measured; what was slow is left out in later rounds."""
        for cell in cells(self.settings):
            what = cell[:3]
            if what in self._slow:
                continue
            begin = time.monotonic()
            row = cell._asdict() | self._run(cell)
            if time.monotonic() - begin > self.settings.once_above_s:
                self._slow.add(what)
            print(sentence(row), flush=True)
            yield row

    def _run(self, cell: Cell) -> dict:
        variables = environment(self._folder(cell))
        if cell.cell == ARTIFACT:
            artifact = {"artifact": str(self._artifact)}
            saved = self._module("saved", artifact | {"model": cell.model}, variables)
            return saved if "failure" in saved else self._module("loaded", artifact, variables)
        if cell.cell in (IN_PROCESS, ISOLATED):
            return self._module("kept_memory", {"model": cell.model, "isolate": cell.cell == ISOLATED}, variables)
        if cell.cell == CALL:
            return self._module("whole_call", {"model": cell.model}, variables)
        if cell.cell == NEW_DATA:
            return self._module("new_data", {"sampler": cell.sampler}, variables)
        sizes = OTHER_SIZES[cell.model] if cell.cell == OTHER_DATA else {}
        return self._module("first_draw", {"model": cell.model, "sampler": cell.sampler, "sizes": sizes}, variables)

    def _folder(self, cell: Cell) -> Path:
        if cell.cell == FIRST_EVER:
            return self.caches.primed(cell.sampler)
        if cell.cell in (COLD, IN_PROCESS, ISOLATED):
            return self.caches.folder(cell.model, cell.sampler, INSTALLED)
        return self.caches.left(cell.model, cell.sampler)

    def _module(self, name: str, request: dict, variables: dict[str, str]) -> dict:
        # The process reads the same clock when it has its draw.
        request = request | {"begun": time.monotonic()}
        return run_module(f"benchmarks.compiling.{name}", request, variables, self.settings.limit_s)


def sentence(row: dict) -> str:
    """Say in a line what a row holds."""
    cell = "{model:18} {sampler:8} {cell:14} round {round}".format_map(row)
    if "failure" in row:
        return f"{cell}  failed: {row['failure']}"
    measured = row["measurement"]
    for name in ("first_draw", "since_start", "first_call"):
        if name in measured:
            return f"{cell}  {name} {measured[name]['cpu']:.2f} CPU s, {measured[name]['wall']:.2f} s"
    return f"{cell}  kept {measured['kept_mb']:.0f} MB"
