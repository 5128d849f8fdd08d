"""nutmill as PyMC's sampler: options of `pm.sample` become those of `sample_numba`, or a warning says why not."""

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nutmill.errors import ArgumentError
from nutmill.sampling.sample import sample_numba

# Of `sample_numba`, but said to `pm.sample` itself.
_OF_THE_RUN = {
    *("model", "draws", "tune", "chains", "cores", "initvals", "random_seed", "progressbar", "var_names"),
    *("discard_tuned_samples", "idata_kwargs", "compute_convergence_checks"),
}
OPTIONS = tuple(name for name in inspect.signature(sample_numba).parameters if name not in _OF_THE_RUN)
# What `pm.sample` of PyMC 5 and Bambi pass on where the user has said nothing, and the most that nutmill ever takes.
_MOST_TUNE = 1000
_IDATA_KWARGS = ("log_likelihood", "include_transformed", "divergences")


class NUTS:
    """nutmill as a sampler of PyMC: options of the algorithm here, what a run needs in `sample_from_init`.

    It has the shape of the `Sampler` that PyMC means to take as an object (pymc#8358).

    Parameters
    ----------
    exact_tune
        Take exactly as many draws of warmup as `tune` says. By default `tune` is a ceiling: warmup ends when the chains
        agree, and a `tune` below 1000 is taken as it is.
    options
        Of `nutmill.sample_numba`, such as ``layout``, ``target_accept``, ``max_treedepth``, ``until``, ``checkpoint``.

    Raises
    ------
    ArgumentError
        If there is no such option, or it has no meaning here.
    """

    def __init__(self, *, exact_tune: bool = False, **options: Any):
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise ArgumentError(
                f"nutmill has no option {', '.join(unknown)}; it has exact_tune, {', '.join(OPTIONS)}. "
                "All others belong to pm.sample itself."
            )
        if not options.get("blocking", True):
            raise ArgumentError(
                "pm.sample gives a result: for a run in the background call nutmill.sample(model, blocking=False)."
            )
        self._options = options
        self._exact_tune = exact_tune

    def sample_from_init(
        self,
        *,
        model,
        draws: int,
        chains: int,
        tune: int | None = None,
        cores: int | None = None,
        random_seed: Any = None,
        initvals: Any = None,
        progressbar: Any = True,
        quiet: bool = False,
        discard_tuned_samples: bool = True,
        keep_warning_stat: bool = False,
        var_names: Sequence[str] | None = None,
        idata_kwargs: Mapping[str, Any] | None = None,
        compute_convergence_checks: bool = True,
        blas_cores: Any = None,
    ):
        """Sample a model; arguments are those of `pm.sample`, and mean the same, and the result is `nutmill.sample`'s.

        `cores` limits the chains that run at once where it is fewer than PyMC takes by itself. `blas_cores` gives way
        to the layout, and no statistic is kept as a warning.
        """
        return sample_numba(
            model,
            draws=draws,
            tune=tune if self._exact_tune or (tune is not None and tune < _MOST_TUNE) else None,
            chains=chains,
            cores=_cores(cores, chains),
            random_seed=_seed(random_seed),
            initvals=_by_name(initvals),
            progressbar=bool(progressbar) and not quiet,
            discard_tuned_samples=discard_tuned_samples,
            var_names=None if var_names is None else list(var_names),
            idata_kwargs=_idata_kwargs(idata_kwargs),
            compute_convergence_checks=compute_convergence_checks,
            **self._options,
        )


def warn_of(name: str, why: str) -> None:
    """Tell the user, at the line of the call of `pm.sample`, what is not done."""
    warnings.warn(f"nutmill does not use {name}: {why}", UserWarning, stacklevel=5)


def _cores(cores: int | None, chains: int) -> int | None:
    """Return what the user has limited; PyMC says a number also where nobody has."""
    default = min(4, os.cpu_count() or 1, chains)
    return None if cores is None or cores >= default else cores


def _seed(seed: Any) -> Any:
    return seed.randint(2**30, size=4).tolist() if isinstance(seed, np.random.RandomState) else seed


def _by_name(initvals: Any) -> Any:
    """Name starts by the names of variables; PyMC takes the variables as well."""
    if isinstance(initvals, Mapping):
        return {getattr(key, "name", key): value for key, value in initvals.items()}
    return initvals if initvals is None else [_by_name(of_chain) for of_chain in initvals]


def _idata_kwargs(given: Mapping[str, Any] | None) -> dict[str, bool]:
    given = {} if given is None else dict(given)
    if left := sorted(set(given) - set(_IDATA_KWARGS)):
        warn_of(f"idata_kwargs {', '.join(left)}", f"it knows {', '.join(_IDATA_KWARGS)}.")
    return {name: bool(value) for name, value in given.items() if name in _IDATA_KWARGS}
