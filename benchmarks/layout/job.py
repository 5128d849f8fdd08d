"""Times whole jobs of one model in a process of its own: what `layout="auto"` makes of them, beside SciPy's BLAS."""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import models

DRAWS = 1000


def main(request: str, answer: str) -> None:
    """Time the job that the JSON text `request` asks for, and write what was measured to the file `answer`.

    The first job of "auto" measures layouts before it samples, and is left out of the medians.
    """
    cell = json.loads(request)
    with tempfile.TemporaryDirectory() as cache:  # no profile of an earlier run
        os.environ["NUTMILL_CACHE_DIR"] = cache
        Path(answer).write_text(json.dumps(measured(cell)))


def measured(cell: dict) -> dict:
    """Seconds of the jobs in turn, the layout that was chosen, and the time to bind the code to its library."""
    import nutmill
    from nutmill.layout.machine.topology import topology

    compiled = nutmill.compile_model(models.build(cell["model"]))
    fixed = nutmill.Layout(min(cell["chains"], topology().n_cores))

    def job(layout) -> str:
        size = {"draws": DRAWS, "chains": cell["chains"], "random_seed": 1, "progressbar": False}
        return nutmill.sample_numba(compiled, layout=layout, **size).attrs["cpu_layout"]

    first_s, told = timed(lambda: job("auto"))
    chosen = json.loads(told)["requested"]
    walls = {"scipy": [], "auto": []}
    for _ in range(cell["rounds"]):
        walls["scipy"].append(timed(lambda: job(fixed))[0])
        walls["auto"].append(timed(lambda: job("auto"))[0])
    medians = {f"{name}_s": statistics.median(each) for name, each in walls.items()}
    return medians | {"first_s": first_s, "chosen": chosen, "bind_s": bind_s(compiled, chosen)}


def bind_s(compiled, chosen: dict) -> float:
    """Time to bind the loaded code to the library of a layout, once the library is loaded."""
    from nutmill import Layout
    from nutmill.layout.applied import apply_layout
    from nutmill.sampling.layout_workload import with_blas_of

    with apply_layout(Layout(**chosen)) as applied:
        return statistics.median(timed(lambda: with_blas_of(compiled, applied))[0] for _ in range(9))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Wall seconds of a piece of work, and what it returned."""
    begin = time.perf_counter()
    returned = work()
    return time.perf_counter() - begin, returned


if __name__ == "__main__":
    main(*sys.argv[1:])
