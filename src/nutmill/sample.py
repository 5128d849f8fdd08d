"""`sample_numba`: what most users call. It wires compiled model, driver, progress, result and report together."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from nutmill import convergence
from nutmill.compiled import CompiledModel, compile_model
from nutmill.layout.topology import topology as read_topology
from nutmill.layout_search import layout_for, natives_for
from nutmill.memory import check_memory
from nutmill.request import checked_request
from nutmill.result import to_result
from nutmill.run.driver import drive
from nutmill.run.progress import open_progress
from nutmill.run.results import Settings

_log = logging.getLogger("nutmill")


def sample_numba(
    model=None,
    *,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    layout="auto",
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    random_seed=None,
    initvals: Mapping | Sequence[Mapping | None] | None = None,
    jitter: bool = True,
    metric: str = "auto",
    var_names: Sequence[str] | None = None,
    discard_tuned_samples: bool = True,
    progressbar: bool = True,
    compute_convergence_checks: bool = True,
    idata_kwargs: Mapping[str, bool] | None = None,
    fuse: bool = True,
):
    """Draw from the posterior of a PyMC model with NUTS, in native code, chains in threads.

    Parameters
    ----------
    model
        A `pm.Model`, or a `CompiledModel`; None takes the model of the surrounding ``with``.
    draws
        Draws to keep of each chain.
    tune
        Draws of warmup; None stops the warmup when the chains agree (at most 1000).
    chains
        Independent chains. They run in groups of four that share what they learn during warmup.
    cores
        Chains that run at once, with one BLAS thread each; None leaves it to `layout`.
    layout
        Chains at once, BLAS threads for each, and where. "auto" takes the stored profile of this model on this machine,
        or measures a run that is expected to take more than a minute, for at most a twentieth of that time; all others
        have one BLAS thread a chain, as many chains at once as there are cores to compute with. A `Layout`, or the path
        of a profile, is taken as it is; None measures nothing.
    target_accept
        Mean acceptance rate that the step size aims for, between 0 and 1.
    max_treedepth
        A trajectory takes at most ``2**max_treedepth`` steps.
    random_seed
        An integer, a sequence of integers or a `numpy.random.Generator`. The same seed gives the same bytes,
        whatever `cores` is.
    initvals
        Where to start, by name of variable; one mapping for all chains or a list with one for each. These
        values are not jittered.
    jitter
        Move other starting values by U(-1, 1) on the unconstrained scale.
    metric
        "auto" or "diag".
    var_names
        Variables to report; None reports free variables and Deterministics.
    discard_tuned_samples
        False keeps warmup draws in groups called ``warmup_...``.
    progressbar
        Show how the chains advance.
    compute_convergence_checks
        Compute R-hat, effective sample sizes and the like at the end, and say what looks wrong.
    idata_kwargs
        What else to put in the result, by name: ``log_likelihood``, ``include_transformed`` (draws on the
        unconstrained scale), ``divergences`` (where trajectories diverged); all False.
    fuse
        Link sampler and model into one native object; False calls the model through a pointer.

    Returns
    -------
    xarray.DataTree with ArviZ 1, arviz.InferenceData with ArviZ 0.23.

    Raises
    ------
    ModelError
        If the model or an argument cannot be used; the message says what to do.
    SamplingError
        If a chain had to stop.
    """
    start = time.perf_counter(), time.process_time()
    options = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "cores": cores,
        "layout": layout,
        "target_accept": target_accept,
        "max_treedepth": max_treedepth,
        "random_seed": random_seed,
        "initvals": initvals,
        "jitter": jitter,
        "metric": metric,
        "discard_tuned_samples": discard_tuned_samples,
        "progressbar": progressbar,
        "compute_convergence_checks": compute_convergence_checks,
        "idata_kwargs": idata_kwargs,
    }
    checked_request(**options)  # before the compile: a wrong argument should not cost seconds
    compiled = model if isinstance(model, CompiledModel) else compile_model(model, var_names=var_names, fuse=fuse)
    _log.info("compiled in %.2f s (%.2f CPU s)", time.perf_counter() - start[0], time.process_time() - start[1])
    return compiled.sample(**options)


def sample_compiled(compiled: CompiledModel, **options):
    """Sample a compiled model; `CompiledModel.sample` is the public way to this."""
    request = checked_request(**options)
    initial = compiled.starts(request.initvals, request.chains, request.seed, jitter=request.jitter)
    settings = Settings(
        draws=request.draws,
        tune=request.tune,
        target_accept=request.target_accept,
        max_treedepth=request.max_treedepth,
        keep_warmup=request.keep_warmup,
        keep_divergences=request.result["divergences"],
    )
    topology = read_topology()
    check_memory(compiled, request, topology)
    sizes = {"chains": request.chains, "draws": request.draws, "cores": request.cores}
    found = layout_for(compiled, request.layout, topology=topology, **sizes)
    with found.layout.applied(topology) as applied, open_progress(request.progressbar) as progress:
        run = drive(
            natives_for(compiled, applied),
            initial,
            settings,
            request.seed,
            threads=found.layout.chains_at_once,
            on_worker=applied.enter_worker,
            on_progress=progress.update,
        )
        result = to_result(compiled, run, request, {"source": found.source} | applied.effective)
    if request.check:
        free = [p.rv_name for p in compiled.graph.parameters if p.rv_name in compiled.graph.expanded]
        convergence.report(convergence.check(result, var_names=free, notes=run.messages))
    return result
