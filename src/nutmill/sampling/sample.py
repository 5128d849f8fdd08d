"""`sample_numba`, or `sample`: what most users call. It checks its arguments, compiles, finds starts, and samples."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

import numpy as np

from nutmill.checkpoint.folder import RunFolder
from nutmill.errors import ArgumentError, ModelError
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.native.compiled import CompiledModel
from nutmill.run.adaptation import AdaptationState
from nutmill.run.checkpoints import Starts
from nutmill.sampling.kept_model import identity, keep_model
from nutmill.sampling.keywords import answering
from nutmill.sampling.prepared_run import PreparedRun
from nutmill.sampling.request import Request, Seed, checked_request
from nutmill.sampling.running import sample_or_begin
from nutmill.sampling.space import check_disk, check_memory
from nutmill.sampling.steering import Snapshot

_log = logging.getLogger("nutmill")

# Arguments of `sample_numba` that belong to the compile, not to the run.
_COMPILE_ARGUMENTS = ("model", "var_names", "fuse", "lowering")


@answering
def sample_numba(
    model=None,
    *,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    layout: Layout | str | os.PathLike | None = "auto",
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    random_seed: Seed = None,
    initvals: Mapping | Sequence[Mapping | None] | None = None,
    jitter: bool = True,
    starts: str = "jitter",
    metric: str = "auto",
    centring: str = "auto",
    var_names: Sequence[str] | None = None,
    discard_tuned_samples: bool = True,
    progressbar: bool = True,
    compute_convergence_checks: bool = True,
    idata_kwargs: Mapping[str, bool] | None = None,
    fuse: bool = True,
    lowering: str = "nutmill",
    checkpoint: str | os.PathLike | None = None,
    every: float = 60.0,
    chain_ids: Sequence[int] | None = None,
    max_time: float | None = None,
    until: Mapping[str, float] | None = None,
    adaptation_state: AdaptationState | None = None,
    executor: Executor | None = None,
    callback: Callable[[Snapshot], object] | None = None,
    blocking: bool = True,
) -> Any:
    """Draw from the posterior of a PyMC model with NUTS, in native code, chains in threads.

    `nutmill.sample` is the same function under a plain name.

    Parameters
    ----------
    model
        A `pm.Model`; None takes the one of the surrounding ``with``. Or a `CompiledModel`, which reports the variables
        that it was compiled with; `fuse` and `lowering`, which are of the compile, have no effect on it.
    draws
        Draws to keep of each chain.
    tune
        Draws of warmup; None stops the warmup when the chains agree: after at most 1000, and 200 more where
        they diverge.
    chains
        Independent chains. They run in groups of four that share what they learn during warmup.
    cores
        Chains that run at once, with one BLAS thread each; None leaves it to `layout`. Draws do not depend on it.
    layout
        Chains at once, BLAS threads for each, and where. "auto" takes the stored profile of this model on this machine,
        or measures a run that is expected to take more than a minute, for at most a twentieth of that time; all others
        have one BLAS thread a chain, as many chains at once as there are cores to compute with. A `Layout`, or the path
        of a profile, is taken as it is; None measures nothing. Where "auto" decides by what was measured, log and
        result say so; it takes more than one BLAS thread a chain only where that is a gain, and then draws depend on
        it, as `random_seed` says. Runs that overlap in one process and need different numbers of BLAS threads begin in
        turn.
    target_accept
        Mean acceptance rate that the step size aims for, between 0 and 1. Where draws still diverge at the end of
        warmup it aims halfway between this and 1, twice at most; with `tune` it does not.
    max_treedepth
        A trajectory takes at most ``2**max_treedepth`` steps.
    random_seed
        An integer, a sequence of integers, a `numpy.random.Generator` or a `SeedSequence`. The same seed gives the
        same bytes on the same kind of processor with the same number of BLAS threads a chain, whatever else `cores` and
        `layout` say and whatever else this process does. That number is one unless `layout` says or finds otherwise,
        and the attribute ``blas_threads`` of the result.
    initvals
        Where to start, by name of variable; one mapping for all chains or a list with one for each. These
        values are not jittered.
    jitter
        Move other starting values by U(-1, 1) on the unconstrained scale, until density and gradient are finite. Where
        500 such starts are not, further ones are tried: nearer and far away, along gradients, from the prior, and
        with ever fewer terms of the density that are not finite.
    starts
        "jitter": as said above. "prior": each chain at its own draw from the prior, so that chains which end in
        different places tell of modes that jittered starts would never have reached. Costs more warmup where priors are
        wide. Values that `initvals` gives stay as they are.
    metric
        "diag", or "auto": a diagonal, and as many directions as draws of other chains confirm (`docs/theory.md`).
    centring
        "auto" lets chains choose, element by element, between centred and non-centred coordinates of hierarchies, and
        all between, whichever way they are written (`docs/theory.md`); "off" takes them as they are written. Draws,
        log densities and `initvals` are those of the model as it is written either way. Only a `pm.Model` has such
        places; for all others it makes no difference.
    var_names
        Variables to report; None reports free variables and Deterministics.
    discard_tuned_samples
        False keeps warmup draws in groups called ``warmup_...``.
    progressbar
        Show on stderr that the model is compiled, and how the chains advance.
    compute_convergence_checks
        Compute R-hat, effective sample sizes and the like at the end, and say what looks wrong.
    idata_kwargs
        What else to put in the result, by name: ``log_likelihood`` (of each observation, of the data that were sampled,
        those of `with_data` too), ``include_transformed`` (draws on the unconstrained scale), ``divergences`` (where
        trajectories diverged); all False.
    fuse
        Link the model into a native object of its own; False leaves it in Numba's engine, for this process alone.
    lowering
        "numba" takes PyTensor's Numba forms of all operations, and none of nutmill's; see `compile_model`.
    checkpoint
        A folder for the run, new or empty. Draws go to its files instead of memory, and every `every` seconds, at a
        signal and at the end a state from which `nutmill.resume` goes on to the same draws, also after a kill.
        SIGTERM and SIGUSR1 then end the run after the draws under way, as Ctrl-C does.
    every
        Seconds between two checkpoints; what a kill can cost.
    chain_ids
        Sample these of the `chains` alone, whole groups of four: 4 to 7, say. `nutmill.merge` joins such parts.
    max_time
        Seconds after which the run ends with the draws that it has, warmup included, compilation and waiting for other
        runs not.
    until
        Ends the run once its draws are good enough: ``{"ess": 400, "rhat": 1.01}``, or one of both, for every value on
        the unconstrained scale, by ArviZ's bulk effective sample size and R-hat. Also "ess_tail", the effective sample
        size of the 5 % and 95 % quantiles, and "mcse": the largest Monte Carlo standard error of the mean and of these
        quantiles, in posterior standard deviations, 0.05 say. Judged when all chains have 100, 200, 300, ... draws,
        later in longer steps. Two looks in a row must find them good enough, and the draws up to the second are kept:
        the result depends on the draws alone, not on when or where they were made.
    adaptation_state
        From `adaptation_of` another result or run: chains start at its positions, step sizes and metric; `initvals`,
        `jitter` and `starts` have no effect, and with ``tune=0`` there is no warmup. Take another `random_seed` than
        its run had.
    executor
        Runs groups of four chains as its tasks, in place of threads of this process: a `ProcessPoolExecutor`, Dask's
        ``client.get_executor()``, any of `concurrent.futures`. Workers get compiled code and data, and need nutmill
        but not PyMC. A task has one core, unless `cores` or `layout` say what each may use. Draws are those of a run
        without it; only where workers may be on other machines, "auto" takes no BLAS library from a profile. With
        `checkpoint`, on a disk that workers share, the task of a lost worker goes on where that was; without, it
        begins anew.
    callback
        Called about once a second and at the end with a `Snapshot`: phase, draws, divergences and step size of each
        chain, ``draws()`` so far, ``stop()``. Chains wait for one that takes longer than their draws under way. What it
        raises ends the run: the result has the draws so far, and the log the error. Of chains that an executor samples
        it sees what their groups have saved in the folder of `checkpoint` (draws about every `every` seconds); without
        a folder it sees groups once they are done.
    blocking
        False: sample in a thread, and give a `Running` at once, to see the run and to stop it. An executor must stay
        open until then.

    Returns
    -------
    xarray.DataTree with ArviZ 1, arviz.InferenceData with ArviZ 0.23. The attribute ``interrupted`` is 1 if draws are
    missing that were asked for, and ``stopped_by`` tells why: the name of a signal, "max_time", "callback" or "user".
    It is "until" for draws that were good enough, which count as complete.

    Raises
    ------
    ArgumentError
        If an argument is not known or has no meaning; the message says what to write instead.
    ModelError
        If the model cannot be used; the message says what to do.
    SamplingError
        If a chain had to stop.
    CheckpointError
        If the folder for checkpoints cannot be used.
    """
    given = dict(locals())
    # Before the compile: a wrong argument should not cost seconds.
    request = checked_request(**{name: value for name, value in given.items() if name not in _COMPILE_ARGUMENTS})
    options = {"var_names": var_names, "fuse": fuse, "lowering": lowering, "progressbar": progressbar}
    return _sample(compiled_of(model, **options), request)


sample = sample_numba  # the plain name


def compiled_of(model, **options) -> CompiledModel:
    """Compile a model with the options of `compile_model`; one that is compiled cannot have other `var_names`."""
    if isinstance(model, CompiledModel):
        if options.get("var_names") is not None:
            raise ArgumentError(
                "This model is compiled already, with the variables that it reports: give var_names to compile_model."
            )
        return model
    from nutmill.model.compile_model import compile_model  # brings PyTensor, which a compiled model need not pay for

    start = time.perf_counter(), time.process_time()
    compiled = compile_model(model, **options)
    _log.info("compiled in %.2f s (%.2f CPU s)", time.perf_counter() - start[0], time.process_time() - start[1])
    return compiled


def _sample(compiled: CompiledModel, request: Request):
    request = with_coordinates(request, compiled)
    if compiled.n_dim == 0:
        names = ", ".join(parameter.rv_name for parameter in compiled.description.parameters)
        raise ModelError(f"There is nothing to sample: every free variable of the model has length 0 ({names}).")
    starts = Starts(_positions(compiled, request), request.seed, request.chain_ids, request.adaptation_state)
    if request.result["log_likelihood"]:
        _ = compiled.likelihood  # raises if the model has none: now, not after the last draw
    topology = read_topology()
    check_memory(compiled, request, topology)
    with ExitStack() as stack:
        if request.checkpoint is not None:
            facts = {"request": request.as_json(), **identity(compiled, topology.cpu_model)}
            folder = stack.enter_context(RunFolder.create(request.checkpoint, facts, request.every))
            check_disk(compiled, request, folder.path)
            if request.executor is None:
                keep_model(compiled, folder.path, log_likelihood=request.result["log_likelihood"])
            starts = starts._replace(folder=folder)
        return sample_or_begin(PreparedRun(compiled, request, topology, starts), stack)


def with_coordinates(request: Request, compiled: CompiledModel) -> Request:
    """Let chains keep the coordinates of a model that has no others, and refuse a metric of others for those."""
    request = request if compiled.code.sites else request._replace(centring="off")
    state = request.adaptation_state
    if state is None or request.centring != "off" or state.centredness.shape[1:] != (compiled.n_dim,):
        return request
    if (state.centredness != compiled.binding.written).any():
        raise ModelError(
            'adaptation_state was learned in coordinates that the chains chose: take centring="auto" with it, or the '
            'state of a run with centring="off".'
        )
    return request


def _positions(compiled: CompiledModel, request: Request) -> np.ndarray:
    if request.adaptation_state is not None:
        request.adaptation_state.check(compiled.n_dim)
        return request.adaptation_state.of_chains(request.chain_ids).position
    return compiled.starts(
        request.initvals,
        request.chains,
        request.seed,
        jitter=request.jitter,
        from_prior=request.starts == "prior",
        chain_ids=request.chain_ids,
    )
