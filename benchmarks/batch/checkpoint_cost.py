"""Measures one run with or without checkpoints, in a process of its own."""

import json
import sys
from pathlib import Path

from benchmarks.batch.digest import digest
from benchmarks.models import gaussian_process
from nutmill import sample_numba
from nutmill.comparison.resources import timed

# A gradient of about a millisecond.
POINTS, CHAINS, CORES = 160, 4, 2


def main(request: str, answer: str) -> None:
    """Sample as the JSON text `request` says and write what it took to the file `answer`.

    The request holds `draws`, `checkpoint`, the folder of the run (null: none), and `every`, seconds between two
    checkpoints (null: nutmill's default). What is measured begins when the model has been compiled.
    """
    import nutmill

    cell = json.loads(request)
    compiled = nutmill.compile_model(gaussian_process.build(points=POINTS))
    kept = {} if cell["checkpoint"] is None else {"checkpoint": cell["checkpoint"]}
    kept |= {} if cell["every"] is None else {"every": cell["every"]}
    quiet = {"progressbar": False, "compute_convergence_checks": False, "discard_tuned_samples": False}
    size = {"draws": cell["draws"], "chains": CHAINS, "cores": CORES, "random_seed": 1}
    trace, spent = timed(lambda: sample_numba(compiled, **size, **quiet, **kept))
    gradients = int(sum(trace[group]["n_steps"].sum() for group in ("warmup_sample_stats", "sample_stats")))
    measured = {"sampled": spent._asdict(), "gradients": gradients, "digest": digest(trace)}
    Path(answer).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
