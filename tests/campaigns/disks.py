"""Disks without room, or without the folder that should be there. They are mounted, which root alone can do."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import saved
import zoo

from campaigns import stops
from campaigns.caches import cache_at, new_cache
from campaigns.trials import FULL, SAME, WHOLE, digest_of, in_child, must_work, named, outcome
from nutmill import compile_model, sample_numba

ROOMY_BYTES = 64 << 20
CHAINS = 4


@contextmanager
def disk(place: Path, size_bytes: int, *options: str) -> Iterator[Path]:
    """Mount a disk in memory that has so much room."""
    place.mkdir()
    chosen = ",".join([f"size={size_bytes}", *options])
    subprocess.run(["mount", "-t", "tmpfs", "-o", chosen, "nutmill-campaign", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def disks(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Let somebody else fill the disk while a run goes on, make room, and go on."""
    compiled, trial = zoo.compiled("regression"), 0
    begin = time.monotonic()
    expected = digest_of(stops.go_on(folder / "whole", compiled, CHAINS))
    usual_s = time.monotonic() - begin
    while True:
        trial += 1
        after_s, left = rng.uniform(0.0, usual_s), int(rng.choice([0, rng.integers(200_000)]))
        with disk(folder / str(trial), ROOMY_BYTES) as place:

            def work(place=place, after_s=after_s, left=left):
                threading.Timer(after_s, _fill, (place / "filler", left)).start()
                stops.go_on(place / "run", compiled, CHAINS)

            status = in_child(work)
            (place / "filler").unlink(missing_ok=True)
            how = must_work(lambda place=place: digest_of(stops.go_on(place / "run", compiled, CHAINS)), expected)
        if status != SAME:
            how = f"told, then {how}" if status == FULL else f"first {named(status)}"
        yield f"all but {left} bytes after {after_s:.2f} of {usual_s:.2f} s", how


def _fill(file: Path, left: int) -> None:
    """Take all room on a disk but so many bytes."""
    with open(file, "wb") as filler:
        while True:
            free = os.statvfs(file.parent)
            with suppress(OSError):  # the run has taken a part of it meanwhile
                os.posix_fallocate(filler.fileno(), 0, max(1, free.f_bavail * free.f_bsize - left))
                return


def temporary(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Compile in a process of its own where the folder for temporary files cannot be used."""
    expected, trial = _isolated(), 0
    kinds = ("missing", "file", "no room", "little room", "read-only")
    while True:
        trial += 1
        kind = kinds[trial % len(kinds)]
        with _useless(kind, folder / str(trial)) as place:

            def work(place=place):
                os.environ["TMPDIR"], tempfile.tempdir = str(place), None
                return _isolated()

            with cache_at(new_cache(folder / f"cache-{trial}")):
                yield kind, outcome(work, expected)


@contextmanager
def _useless(kind: str, place: Path) -> Iterator[Path]:
    if kind == "missing":
        yield place
    elif kind == "file":
        place.touch()
        yield place
    else:
        options = {"no room": (4096,), "little room": (20_000,), "read-only": (4096, "ro")}[kind]
        with disk(place, *options):
            if kind == "no room":
                (place / "all of it").write_bytes(bytes(4096))
            yield place


def _isolated() -> str:
    compiled = compile_model(saved.model(), isolate=True)
    return digest_of(sample_numba(compiled, draws=20, tune=20, chains=1, random_seed=1, **WHOLE))


def can_mount() -> bool:
    """Whether this user may mount disks here."""
    place = Path(tempfile.mkdtemp())
    try:
        with disk(place / "disk", 1 << 20):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        shutil.rmtree(place)
