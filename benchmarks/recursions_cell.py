"""Compiles one recursion anew and times its gradient, in a process of its own."""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks import models, programs
from benchmarks.gradient_cell import bare_gradient, starting_position
from nutmill.comparison.resources import timed


def main(request: str, answer: str) -> None:
    """Measure what the JSON text `request` asks for, a model and a program, and write it to the file `answer`.

    CPU seconds of compiling, without what is compiled once per process or installation, and CPU microseconds of a
    gradient with one BLAS thread. The folder of nutmill's cache, which NUTMILL_CACHE_DIR names, has no such model.
    """
    cell = json.loads(request)
    compiled = programs.load(cell["program"])
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1, user_api="blas"):
        compiled(models.build(models.PRIMING))
        # What is compiled once per installation lies there now; the model is to be compiled in each round.
        own = shutil.copytree(os.environ["NUTMILL_CACHE_DIR"], Path(folder) / "cache")
        os.environ["NUTMILL_CACHE_DIR"] = str(own)
        model = models.build(cell["model"])
        program, spent = timed(lambda: compiled(model))
        gradient = bare_gradient(program, starting_position(model), threads=1)
    figures = {"compile_cpu_s": spent.cpu, "gradient_us": gradient.cpu}
    Path(answer).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
