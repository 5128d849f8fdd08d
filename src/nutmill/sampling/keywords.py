"""Keywords of other samplers that `sample_numba` does not have: the error says what to write instead."""

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from numbers import Integral
from typing import ParamSpec, TypeVar

from nutmill.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")

_BY_ITSELF = "write its options as keywords of their own, such as target_accept=0.9"
_STARTS = (
    "leave it out, chains look for starts and learn the metric by themselves (jitter=, starts=, initvals= and metric=)"
)
_COMPILED = "leave it out, there is one backend; compile_model takes dtype=, target= and lowering="
_WARMUP = "write tune=, or nothing, then warmup ends when the chains agree"
_STEP_SIZE = "leave it out, warmup finds it; target_accept= makes steps shorter or longer"

# Keywords of pm.sample, of nutpie, and of NumPyro and Stan.
_ANSWERS = {
    "nuts_sampler": 'leave it out, or write pm.sample(nuts_sampler="nutmill") after `import nutmill.pymc`',
    "nuts_sampler_kwargs": _BY_ITSELF,
    "nuts": _BY_ITSELF,
    "step": "leave it out, NUTS draws all variables; other step methods are those of pm.sample",
    "init": _STARTS,
    "n_init": _STARTS,
    "jitter_max_retries": _STARTS,
    "trace": 'write checkpoint="run" to keep draws in a folder',
    "return_inferencedata": "leave it out, the result is an ArviZ object",
    "keep_warning_stat": "leave it out, nutmill.diagnose(result) says what is wrong",
    "mp_ctx": "leave it out, chains are threads; executor= takes a pool of processes",
    "blas_cores": "write layout=nutmill.Layout(chains_at_once, blas_threads=...)",
    "backend": _COMPILED,
    "compile_kwargs": _COMPILED,
    "quiet": "write progressbar=False",
    "progressbar_theme": "leave it out",
    "seed": "write random_seed=",
    "progress_bar": "write progressbar=",
    "save_warmup": "write discard_tuned_samples=False",
    "maxdepth": "write max_treedepth=",
    "init_mean": "write initvals=, or adaptation_state= of another run",
    "zarr_store": 'write checkpoint="run" to keep draws in a folder',
    "store_divergences": 'write idata_kwargs={"divergences": True}',
    "store_unconstrained": 'write idata_kwargs={"include_transformed": True}',
    "low_rank_modified_mass_matrix": 'leave it out, metric="auto" learns directions',
    "adaptation": 'leave it out, metric="auto" learns directions; "diag" has none',
    "transform_adapt": "leave it out; of hierarchies, centring= chooses the coordinates",
    "return_raw_trace": "leave it out, the result is an ArviZ object",
    "num_samples": "write draws=",
    "iter_sampling": "write draws=",
    "num_warmup": _WARMUP,
    "iter_warmup": _WARMUP,
    "num_chains": "write chains=",
    "parallel_chains": "write cores=",
    "adapt_delta": "write target_accept=",
    "max_tree_depth": "write max_treedepth=",
    "max_depth": "write max_treedepth=",
    "iter": "write draws=, which does not count the warmup",
    "warmup": _WARMUP,
    "burn": _WARMUP,
    "burnin": _WARMUP,
    "thin": "leave it out, all draws are kept",
    "control": _BY_ITSELF,
    "nuts_kwargs": _BY_ITSELF,
    "start": "write initvals=",
    "init_params": "write initvals=",
    "initial_points": "write initvals=",
    "jitter_rvs": "leave it out, or write jitter=False; values of initvals= are not jittered",
    "default_initialization_strategy": 'write starts="prior", or leave it out',
    "gradient_backend": _COMPILED,
    "njobs": "write cores=",
    "n_jobs": "write cores=",
    "chain_method": "leave it out, chains run in threads; cores= says how many at once",
    "dense_mass": 'leave it out, metric="auto" learns directions where draws confirm them',
    "step_size": _STEP_SIZE,
    "stepsize": _STEP_SIZE,
    "rng_key": "write random_seed=",
    "verbose": "write progressbar=",
    "output_dir": 'write checkpoint="run" to keep draws in a folder',
    "timeout": "write max_time=",
    "data": "write compiled.with_data(...), of what compile_model gave",
    "coords": "write compiled.with_data(coords=...), of what compile_model gave",
}


def answering(function: Callable[P, R]) -> Callable[P, R]:
    """Let a sampler answer to arguments that it does not have by what to write; raises ArgumentError."""
    known = inspect.signature(function).parameters

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise ArgumentError(answer(name, known))
        if args and isinstance(args[0], Integral):
            raise ArgumentError(f"The first argument is the model; for the number of draws write draws={args[0]}.")
        if len(args) > 1:
            raise ArgumentError("The model alone goes without a name: write draws=, tune=, chains= and the like.")
        return function(*args, **kwargs)

    return call


def answer(name: str, known: Iterable[str]) -> str:
    """Say what to write in place of a keyword that is not known."""
    said = f"nutmill.sample has no keyword {name}"
    if name in _ANSWERS:
        return f"{said}: {_ANSWERS[name]}."
    near = get_close_matches(name, known, n=1)
    return f"{said}: did you mean {near[0]}?" if near else f"{said}. It has {', '.join(known)}."
