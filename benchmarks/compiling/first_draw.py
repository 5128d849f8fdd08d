"""Measures one model's way to its first draw by one sampler, in a process of its own."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks import models
from nutmill.comparison import samplers
from nutmill.comparison.resources import ImportClock, Spent, now, status_mb, timed
from nutmill.comparison.samplers.contract import Size

# One kept draw of one chain; nutpie refuses a warmup of less than one draw, so all have one.
LEAST = {"draws": 1, "tune": 1, "chains": 1, "cores": 1}


def main(request: str, answer: str) -> None:
    """Measure what the JSON text `request` asks for and write the numbers to the file `answer`.

    The request holds the names `model` and `sampler`, `sizes` of the data (empty for the model's own), and `begun`,
    the monotonic clock when the process was started. The answer holds

    first_draw
        from the call that compiles until the one that samples returns its draw, without the imports in between,
    imported
        importing the sampler, and whatever else it imports on the way,
    since_start
        the whole life of the process until then, with importing PyMC and building the model,
    peak_rss_mb, added_mb
        high-water mark of the resident size, and how far it lies above the size before the sampler was imported (PyMC
        was, and the model built),
    gradients
        leapfrog steps taken, and
    from_cache
        whether nothing was compiled, where the sampler tells.
    """
    cell = json.loads(request)
    model = models.build(cell["model"], **cell["sizes"])
    work = partial(samplers.load(cell["sampler"]), model, Size(**LEAST, seed=1))
    before_mb = status_mb("VmRSS")
    with ImportClock() as imports:
        run, spent = timed(work)
    measured = {
        "first_draw": spent.minus(imports.spent)._asdict(),
        "imported": imports.spent._asdict(),
        "since_start": since_start(cell["begun"])._asdict(),
        "peak_rss_mb": run.peak_rss_mb,
        "added_mb": run.peak_rss_mb - before_mb,
        "gradients": gradients(run.trace),
        "from_cache": run.from_cache,
    }
    Path(answer).write_text(json.dumps(measured))


def since_start(begun: float) -> Spent:
    """Return what this process has spent since it was started, when the monotonic clock stood at `begun` seconds."""
    so_far = now()
    return Spent(so_far.wall - begun, so_far.cpu)


def gradients(trace: Mapping) -> int:
    """Return the leapfrog steps of a trace, those of its warmup included."""
    return int(sum(trace[group]["n_steps"].sum() for group in ("warmup_sample_stats", "sample_stats")))


if __name__ == "__main__":
    main(*sys.argv[1:])
