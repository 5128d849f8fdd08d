"""Samples that overlap in one process: the draws of each are those it makes alone, and the process stays as it was."""

import threading
from collections.abc import Iterator
from pathlib import Path

import large_factors
import numpy as np
import zoo

from campaigns.process_state import changed, process_state
from campaigns.trials import WHOLE, digest_of, must_work
from nutmill import Layout, sample_numba

AT_ONCE = 8
# Of one model the bits depend on the number of BLAS threads, another calls no BLAS, others a little.
LARGE = "large factors"
JOBS = {
    LARGE: {"draws": 4, "tune": 6, "chains": 1, "max_treedepth": 2},
    "transforms": {"draws": 100, "tune": 100, "chains": 2},
    "regression": {"draws": 200, "tune": 200, "chains": 6},
    "covariance": {"draws": 50, "tune": 100, "chains": 2},
}
LAYOUTS = (Layout(1, 1), Layout(1, 2), Layout(2, 1))


def _sample(name: str, number: int, **options):
    """Sample one of the models with one of the layouts."""
    compiled = large_factors.compiled() if name == LARGE else zoo.compiled(name)
    return sample_numba(compiled, **JOBS[name], random_seed=7, layout=LAYOUTS[number], **WHOLE, **options)


def overlaps(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Sample eight things at once, one of them in the main thread, some with a folder."""
    layouts = range(len(LAYOUTS))
    expected = {(name, number): digest_of(_sample(name, number)) for name in JOBS for number in layouts}
    trial = 0
    while True:
        trial += 1
        drawn = [list(expected)[place] for place in rng.integers(len(expected), size=AT_ONCE)]
        kept = [folder / f"{trial}-{place}" if rng.random() < 0.4 else None for place in range(AT_ONCE)]
        jobs = list(zip(drawn, kept, strict=True))
        yield f"{[key for key, _ in jobs]}", must_work(lambda jobs=jobs: _wrong(jobs, expected), [])


def _wrong(jobs: list[tuple[tuple[str, int], Path | None]], expected: dict[tuple[str, int], str]) -> list[str]:
    """Do the jobs at once; return what is not as it should be."""
    wrong, before = [], process_state()
    together = threading.Barrier(len(jobs))

    def do(key: tuple[str, int], path: Path | None) -> None:
        together.wait()
        try:
            if digest_of(_sample(*key, checkpoint=path)) != expected[key]:
                wrong.append(f"draws of {key}")
        except BaseException as error:
            wrong.append(f"{key} raised {error!r}")

    others = [threading.Thread(target=do, args=job) for job in jobs[1:]]
    for thread in others:
        thread.start()
    do(*jobs[0])
    for thread in others:
        thread.join()
    return wrong + changed(before, process_state())
