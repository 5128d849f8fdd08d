"""Compiles one model with its sites and without, and times gradients of both, in a process of its own."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import models
from benchmarks.gradient_cell import starting_position
from benchmarks.site_models import MODELS
from nutmill import compile_model
from nutmill.comparison.resources import timed
from nutmill.model.graphs import pymc_model

# So short that on a busy machine some are not disturbed.
BURST_S = 2e-3
BETWEEN = 0.4  # a centredness of which nothing can be left out


def main(request: str, answer: str) -> None:
    """Measure what the JSON text `request` asks for and write it to the file `answer`.

    The request holds model, bursts (how many of each gradient), and sites_first: which of the two is compiled first.
    The answer holds compile_cpu_s of both, without what is compiled once per process or installation, and CPU
    microseconds of a gradient: without sites, in the coordinates of the model as it is written, and between.
    """
    cell = json.loads(request)
    with threadpool_limits(1, user_api="blas"):
        compile_model(models.build(models.PRIMING))
        model, compiled, spent = MODELS[cell["model"]](), {}, {}
        for has_sites in (cell["sites_first"], not cell["sites_first"]):
            name = "with" if has_sites else "without"
            compiled[name], spent[name] = timed(lambda has_sites=has_sites: compiled_anew(model, has_sites=has_sites))
        loops = gradients(compiled["without"].binding, compiled["with"].binding, starting_position(model))
        measured = {"compile_cpu_s": {name: each.cpu for name, each in spent.items()}}
        measured["gradient_us"] = interleaved(loops, cell["bursts"])
    Path(answer).write_text(json.dumps(measured))


def compiled_anew(model, *, has_sites: bool):
    """Compile a model that is in no cache, as if it had no sites unless it is to have them."""
    folder = os.environ["NUTMILL_CACHE_DIR"]
    with tempfile.TemporaryDirectory() as scratch:
        # What is compiled once per installation lies there.
        os.environ["NUTMILL_CACHE_DIR"] = str(shutil.copytree(folder, Path(scratch) / "cache"))
        try:
            if has_sites:
                return compile_model(model, progressbar=False)
            with patch.object(pymc_model, "find_sites", lambda model: []):
                return compile_model(model, progressbar=False)
        finally:
            os.environ["NUTMILL_CACHE_DIR"] = folder


def gradients(without, binding, position: np.ndarray) -> dict[str, Callable[[int], int]]:
    """Make functions that evaluate gradients so often as they are told, by the name of their coordinates."""
    between = replace(binding, record=binding.reading(np.full(binding.n_dim, BETWEEN)))
    return {
        "without": without.repeated(position),
        "as_written": binding.repeated(position),
        "between": between.repeated(position),
    }


def interleaved(loops: dict[str, Callable[[int], int]], bursts: int) -> dict[str, float]:
    """CPU microseconds of a gradient of each: the least of bursts that are taken in turn."""
    counts, least = dict.fromkeys(loops, 1), dict.fromkeys(loops, np.inf)
    for name, repeat in loops.items():
        while _cpu_s(repeat, counts[name]) < BURST_S:
            counts[name] *= 2
    for _ in range(bursts):
        for name, repeat in loops.items():
            least[name] = min(least[name], _cpu_s(repeat, counts[name]) / counts[name] * 1e6)
    return least


def _cpu_s(repeat: Callable[[int], int], count: int) -> float:
    before = time.thread_time()
    if repeat(count):
        raise RuntimeError("the density fails at the start of this model; its gradient cannot be timed")
    return time.thread_time() - before


if __name__ == "__main__":
    main(*sys.argv[1:])
