"""Measures one run of one sampler on a model, in a process of its own."""

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutmill.comparison import machine, samplers
from nutmill.comparison.resources import now
from nutmill.comparison.samplers.contract import SamplerRun, Size
from nutmill.layout.machine.topology import topology
from nutmill.results.trace import group

if TYPE_CHECKING:
    import pymc as pm

_PACKAGES = ("nutmill", "pymc", "pytensor", "numpy")


def main(
    request: str,
    answer: str,
    load: Callable[[Any], "pm.Model"] | None = None,
    judge: Callable[[Any, SamplerRun], dict] = lambda model, run: {},
) -> None:
    """Measure what the JSON text `request` asks for and write the numbers to the file `answer`.

    The request holds `model`, which `load` turns into a model (default: the path of a pickle), or None for one that
    only makes the sampler ready; the name of the `sampler`, its `size` and further `options`, and `begun`, the
    monotonic clock when the process was started. `judge` is given the request's `model` and the run, and says what
    else is to be written.
    """
    cell = json.loads(request)
    size = Size(**cell["size"])
    _keep_to(size.cores)
    model = priming_model() if cell["model"] is None else (load or unpickled)(cell["model"])
    built = now()
    run = samplers.load(cell["sampler"])(model, size, **cell.get("options", {}))
    answered = reduced(model, run) | {
        "size": size._asdict(),
        "built_s": built.wall - cell["begun"],
        "versions": machine.versions((*samplers.SAMPLERS[cell["sampler"]].needs, *_PACKAGES)),
        **judge(cell["model"], run),
    }
    Path(answer).write_text(json.dumps(answered))


def unpickled(path: object) -> "pm.Model":
    """Read a model that a process of the same user has written for this one."""
    return pickle.loads(Path(str(path)).read_bytes())


def priming_model() -> "pm.Model":
    """Build a model whose sampling compiles what is compiled once per installation."""
    import pymc as pm

    with pm.Model() as model:
        pm.Normal("x", shape=3)
    return model


def reduced(model: "pm.Model", run: SamplerRun) -> dict:
    """Reduce a run to numbers, by name.

    `imported`, `compiled` and `sampled`, each with `wall` and `cpu` seconds; `peak_rss_mb`; `draw_gradients` and
    `warmup_gradients`, leapfrog steps of all chains, None where the sampler does not tell; `warmup_draws` of a chain, 0
    likewise; `divergences`; `quality`, `means` and `n_scalars`, see `quality.judge`; `blas`, the libraries with their
    threads.
    """
    blas = machine.blas_in_use()  # before ArviZ loads others
    from nutmill.comparison.quality import judge

    warmup = group(run.trace, "warmup_sample_stats") if "warmup_sample_stats" in run.trace else {}
    stats, posterior = group(run.trace, "sample_stats"), group(run.trace, "posterior")
    judged = judge(posterior, [variable.name for variable in model.free_RVs])
    return {
        **{name: getattr(run, name)._asdict() for name in ("imported", "compiled", "sampled")},
        "peak_rss_mb": run.peak_rss_mb,
        "draw_gradients": _steps(stats),
        "warmup_gradients": _steps(warmup),
        "warmup_draws": int(posterior.attrs.get("tuning_steps", 0)),
        "divergences": int(stats["diverging"].sum()),
        "quality": judged.quality._asdict(),
        "n_scalars": judged.n_scalars,
        "means": judged.means,
        "blas": blas,
    }


def _keep_to(cores: int) -> None:
    """Keep this process to a CPU of each of so many cores, for samplers that cannot be told how many to use."""
    os.sched_setaffinity(0, [cpus[0] for cpus in topology().cores[:cores]])


def _steps(stats) -> int | None:
    return int(stats["n_steps"].sum()) if "n_steps" in stats else None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
