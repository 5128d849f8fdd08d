"""The campaigns by name, and how one is run."""

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from campaigns import clocks, damages, dask_workers, disks, interrupts, leaks, overlaps, signals, stops
from campaigns.trials import counted


class Kind(NamedTuple):
    """One campaign.

    Attributes
    ----------
    what : str
        What is tried, for people.
    run : callable
        Tries it so many times, with a seed, in a folder, and counts outcomes.
    few : int
        How often the tests try it.
    """

    what: str
    run: Callable[..., Counter]
    few: int


Trials = Callable[[Path, np.random.Generator], Iterator[tuple[str, str]]]


def _of_trials(trials: Trials, times: int, *, seed: int, folder: Path) -> Counter:
    return counted(trials(folder, np.random.default_rng(seed)), times, trials.__name__.replace("_", " "))


def _kind(what: str, trials: Trials, few: int) -> Kind:
    return Kind(what, functools.partial(_of_trials, trials), few)


KINDS = {
    "kill": Kind("SIGKILL at a random moment, then resume", functools.partial(stops.run, "kill"), 6),
    "full": Kind("a file that may not grow (RLIMIT_FSIZE), then resume", functools.partial(stops.run, "full"), 6),
    "state": Kind("SIGKILL, and a changed byte in the newest state", functools.partial(stops.run, "state"), 6),
    "block": Kind("SIGKILL, and draws cut off at the end", functools.partial(stops.run, "block"), 6),
    "manifests": _kind("one aimed change of a manifest, then resume", damages.manifests, 100),
    "run-folders": _kind("one damaged file of a run folder, then resume", damages.run_folders, 60),
    "model-files": _kind("a damaged .nut, loaded and sampled", damages.model_files, 60),
    "cache-entries": _kind("a damaged entry of the cache, looked for", damages.cache_entries, 60),
    "profiles": _kind("a damaged layout profile, looked for", damages.layout_profiles, 60),
    "overlaps": _kind("eight samples at once in one process, with and without BLAS", overlaps.overlaps, 2),
    "signals": _kind("two signals at random moments of `nutmill sample --checkpoint`", signals.signals, 3),
    "interrupts": _kind("Ctrl-C at a random moment of a compile, then another compile", interrupts.interrupts, 3),
    "leaks": Kind("memory, threads and open files over many rounds in one process", leaks.run, 40),
    "clocks": _kind("a clock that jumps back by hours to years while a run goes on", clocks.clocks, 4),
    "disks": _kind("a disk (tmpfs) that fills while a run goes on, then resume", disks.disks, 4),
    "temporary": _kind("a TMPDIR that is missing, full, no folder or not ours", disks.temporary, 4),
    "dask-workers": _kind("a Dask worker killed at a random moment", dask_workers.dask_workers, 2),
}
