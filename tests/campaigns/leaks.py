"""Memory, threads and open files of a process that does the same thing over and over: they stay flat."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import saved

import nutmill
from campaigns.process_state import open_files, resident_bytes, threads
from campaigns.trials import QUIET, in_child, named
from nutmill import sample_numba

SIZE = {"draws": 10, "tune": 10, "chains": 4, "random_seed": 1, **QUIET}
# Rows of data of each round, so that data which stays would be seen: 400 kB.
ROWS = 50_000
# A process's memory moves by so much by itself; of each round less than a tenth of its data may stay.
_BYTES, _BYTES_A_ROUND = 4 << 20, 40_000


def with_other_data(folder: Path) -> Callable[[int], object]:
    """Bind other data, and sample."""

    def once(number: int) -> None:
        labels = {"coords": {"row": np.arange(ROWS)}}
        sample_numba(saved.small().with_data(y_data=np.full(ROWS, float(number)), **labels), **SIZE)

    return once


def loaded(folder: Path) -> Callable[[int], object]:
    """Load a file, and sample."""
    saved.small().save(folder / "small.nut")
    return lambda number: sample_numba(nutmill.load(folder / "small.nut"), **SIZE)


def checkpointed(folder: Path) -> Callable[[int], object]:
    """Sample into a folder, and go on there."""

    def once(number: int) -> None:
        sample_numba(saved.small(), **SIZE, checkpoint=folder / str(number))
        nutmill.resume(folder / str(number), saved.small(), draws=20, **QUIET)

    return once


def run(times: int, *, seed: int, folder: Path) -> Counter:
    """Do each of the three so many times in a process of its own; return how many rounds left it flat."""
    found: Counter = Counter()
    for made in (with_other_data, loaded, checkpointed):
        once = made(folder)
        how = named(in_child(lambda made=made, once=once: _watched(made.__name__, once, times)))
        found[how] += times
    print(f"leaks: {times} rounds of each, {dict(found)}", flush=True)
    return found


def _watched(name: str, once: Callable[[int], object], times: int) -> None:
    """Compare the process after the first half of the rounds with that at the end."""
    seen = []
    for number in range(times):
        once(number)
        seen.append((resident_bytes(), threads(), open_files()))
    (mid, *counts), (end, *counts_at_end) = seen[times // 2], seen[-1]
    print(f"  {name.replace('_', ' ')}: {mid >> 20} -> {end >> 20} MB, threads and open files {counts_at_end}")
    assert counts == counts_at_end, f"threads and open files were {counts}"
    assert end - mid < _BYTES + _BYTES_A_ROUND * (times - times // 2), f"memory grew by {end - mid} bytes"
