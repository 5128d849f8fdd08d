"""Kills runs at random moments, resumes them, and compares the bytes with those of runs that nobody disturbed."""

import json
import multiprocessing
import random
import shutil
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from benchmarks import models
from benchmarks.batch.digest import digest
from nutmill import sample_numba

CORES = 2
# One chain, and a group of four that learns together.
CHAINS = (1, 4)
QUIET = {"progressbar": False, "compute_convergence_checks": False}
BEGUN = "begun"


class Job(NamedTuple):
    """What is sampled: a benchmark model, draws of each chain, and seconds between checkpoints."""

    model: str
    draws: int
    every_s: float


class Reference(NamedTuple):
    """A run that nobody disturbed: digest of its draws, and seconds from its first call to its last."""

    digest: str
    seconds: float


class Runs:
    """Makes runs of one job below a folder, and ends some of them.

    Every run, and every resumption, is a process of its own, forked from a server that has imported nutmill and has
    sampled nothing.
    """

    def __init__(self, job: Job, folder: Path):
        self._job = job
        self._folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pymc", "nutmill.sampling.sample", "benchmarks.models"])

    def undisturbed(self, chains: int) -> Reference:
        """Sample without a kill; once before, so that the model's code is in the cache for all."""
        for _ in range(2):
            process, pipe = self._started(sample, chains)
            begin = time.monotonic()
            found = Reference(pipe.recv(), time.monotonic() - begin)
            self._ended(process)
        return found

    def killed(self, chains: int, after_s: float, expected: str) -> dict:
        """Kill a run so many seconds after its begin, resume it, and say whether its draws are as expected."""
        process, _ = self._started(sample, chains)
        time.sleep(after_s)
        process.kill()
        process.join()
        process, pipe = self._started(resume, chains)
        try:
            found, began_anew = pipe.recv()
        except EOFError:
            found, began_anew = None, False
        self._ended(process)
        return {"chains": chains, "after_s": after_s, "equal": found == expected, "began_anew": began_anew}

    def _started(self, work: Callable, chains: int) -> tuple[BaseProcess, Connection]:
        """Start a process that does `work`, wait until it is about to begin, and return it with its end of a pipe."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(self._job, str(self._folder / "run"), chains, theirs))
        process.start()
        theirs.close()
        if ours.recv() != BEGUN:
            raise RuntimeError("the process for a run has failed before it began")
        return process, ours

    def _ended(self, process: BaseProcess) -> None:
        process.join()
        shutil.rmtree(self._folder / "run", ignore_errors=True)


def main(request: str, answer: str) -> None:
    """Kill as many runs as the JSON text `request` says and write what came of each to the file `answer`.

    The request holds `kills`, `seed` of the moments, `folder` for the runs, and the fields of a `Job`.
    """
    cell = json.loads(request)
    runs = Runs(Job(*(cell[name] for name in Job._fields)), Path(cell["folder"]))
    moments = random.Random(cell["seed"])
    references = {chains: runs.undisturbed(chains) for chains in CHAINS}
    rows = []
    for number in range(cell["kills"]):
        chains = CHAINS[number % len(CHAINS)]
        reference = references[chains]
        rows.append(runs.killed(chains, moments.uniform(0.0, reference.seconds), reference.digest))
    seconds = {chains: reference.seconds for chains, reference in references.items()}
    Path(answer).write_text(json.dumps({"runs": rows, "undisturbed_s": seconds}))


def sample(job: Job, folder: str, chains: int, pipe: Connection) -> None:
    """Sample with checkpoints and send the digest of the draws."""
    compiled = _compiled(job)
    pipe.send(BEGUN)
    pipe.send(_sampled(compiled, job, folder, chains))


def resume(job: Job, folder: str, chains: int, pipe: Connection) -> None:
    """Resume, or sample anew where the run was killed before there was anything to resume; send digest and which."""
    import nutmill
    from nutmill.errors import CheckpointError

    compiled = _compiled(job)
    pipe.send(BEGUN)
    try:
        found = digest(nutmill.resume(folder, compiled, every=job.every_s, cores=CORES, **QUIET))
    except CheckpointError:
        # A folder that holds a run which could be resumed is refused here: no damage is passed over.
        pipe.send((_sampled(compiled, job, folder, chains), True))
    else:
        pipe.send((found, False))


def _compiled(job: Job):
    import nutmill

    return nutmill.compile_model(models.build(job.model))


def _sampled(compiled, job: Job, folder: str, chains: int) -> str:
    size = {"draws": job.draws, "chains": chains, "cores": CORES, "random_seed": 1}
    return digest(sample_numba(compiled, checkpoint=folder, every=job.every_s, **size, **QUIET))


if __name__ == "__main__":
    main(*sys.argv[1:])
