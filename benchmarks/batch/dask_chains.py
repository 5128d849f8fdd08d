"""Measures what a chain costs more when it goes through Dask, on the cores of this machine."""

import json
import os
import sys
from pathlib import Path

from benchmarks import models
from benchmarks.batch.digest import digest
from nutmill import sample_numba
from nutmill.comparison.resources import timed

MODEL, DRAWS = "eight_schools", 1000


def main(request: str, answer: str) -> None:
    """Sample as many chains as the JSON text `request` says, here and through Dask; write seconds to `answer`.

    The cluster has a worker for each usable core, and has run one task before, so that starting it does not count; its
    workers do not have the model.
    """
    from dask.distributed import Client

    import nutmill

    chains, cores = json.loads(request)["chains"], len(os.sched_getaffinity(0))
    compiled = nutmill.compile_model(models.build(MODEL))
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    size = {"draws": DRAWS, "chains": chains, "random_seed": 1}
    local, here = timed(lambda: sample_numba(compiled, cores=cores, **size, **quiet))
    with Client(n_workers=cores, threads_per_worker=1, dashboard_address=None) as client:
        client.submit(os.getpid).result()
        executor = client.get_executor()
        sent, there = timed(lambda: sample_numba(compiled, executor=executor, **size, **quiet))
    measured = {
        "local": here._asdict(),
        "dask": there._asdict(),
        "overhead_ms": 1e3 * (there.wall - here.wall) / chains,
        "equal": digest(local) == digest(sent),
    }
    Path(answer).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
