"""Measures how much memory a process keeps when it has compiled a model, in itself or in a child."""

import ctypes
import gc
import json
import sys
from pathlib import Path

from benchmarks import models
from nutmill.comparison.resources import status_mb


def main(request: str, answer: str) -> None:
    """Compile as the JSON text `request` says and write resident sizes in MB to the file `answer`.

    The request holds `model`, and `isolate`, whether to compile in a child. Sizes are read after a garbage collection,
    with the heap's free pages given back. What compiling imports counts as kept.
    """
    import nutmill

    cell = json.loads(request)
    model = models.build(cell["model"])
    compile_model = nutmill.compile_model
    before_mb = settled_mb()
    compiled = compile_model(model, isolate=True) if cell["isolate"] else compile_model(model)
    measured = {"kept_mb": settled_mb() - before_mb, "peak_rss_mb": status_mb("VmHWM"), "n_dim": compiled.n_dim}
    Path(answer).write_text(json.dumps(measured))


def settled_mb() -> float:
    """Return the resident size once garbage has been collected and free pages have gone back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return status_mb("VmRSS")


if __name__ == "__main__":
    main(*sys.argv[1:])
