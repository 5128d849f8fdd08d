"""The report at the end of a run: diagnostics of the draws, as sentences that say what to do."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from nutmill.native.mixing import mixing_of
from nutmill.native.processor import target
from nutmill.stderr import unheard
from nutmill.trace import group

if TYPE_CHECKING:
    import arviz

MAX_RHAT = 1.01
MIN_ESS_PER_CHAIN = 100
MAX_SHARE_AT_TREE_LIMIT = 0.05
NEARLY_ALL = 0.9
MIN_BFMI = 0.3
# A chain in a mode of its own lies many deviations below the rest; one that only mixes slowly does not.
MAX_LP_GAP = 5.0
# A chain is split in two halves, and each needs two draws to have a variance.
MIN_DRAWS = 4
# R-hat and ESS of a parameter take 0.2 ms for 4000 draws: this many keep the report near two seconds.
MAX_PARAMETERS = 10_000
N_NAMED = 3

_log = logging.getLogger("nutmill")


class Finding(NamedTuple):
    """One thing that the user should know about the draws."""

    kind: str  # note, divergences, tree_depth, too_few, bfmi, lp, not_finite, rhat, ess, sampled
    message: str  # one or two sentences: what was seen, and what to do
    variables: tuple[str, ...] = ()  # the worst ones first, as "theta[Choate]"


class Named(NamedTuple):
    """How the chains mix: one entry for each scalar that is finite and moves.

    Attributes
    ----------
    labels : (n,) object
        As "theta[Choate]".
    rhat, ess : (n,) float64
        As in `native.mixing.Mixing`; the effective sample size is that of the bulk.
    """

    labels: np.ndarray
    rhat: np.ndarray
    ess: np.ndarray


def mixing(data: arviz.InferenceData | xr.DataTree, var_names: Sequence[str] | None = None) -> Named:
    """Compute R-hat and effective sample sizes; see `check` for the arguments. Needs `MIN_DRAWS` draws a chain."""
    posterior = group(data, "posterior")
    columns, labels, _ = scalar_columns(posterior, list(posterior) if var_names is None else var_names)
    return _mixing(columns, labels, np.isfinite(columns).all(axis=(0, 1)), _address())


def _address() -> int:
    from nutmill.model.kernel import kernel_object  # brings Numba, which whoever has a compiled model need not pay for

    return kernel_object(target()).address("mixing")


def check(
    data: arviz.InferenceData | xr.DataTree,
    *,
    var_names: Sequence[str] | None = None,
    notes: Iterable[str] = (),
    address: int | None = None,
    mixed: Named | None = None,
) -> list[Finding]:
    """Look for signs that the draws should not be trusted.

    Parameters
    ----------
    data
        Holds the groups ``posterior`` and ``sample_stats``.
    var_names
        The variables whose R-hat and ESS are computed: the free ones of the model. Default: all. Of more than
        `MAX_PARAMETERS` scalars a part is looked at, the small variables first, and the report says so.
    notes
        Sentences of the sampler itself, for example on a chain that was not admitted; they come first.
    address
        Of the kernel's `mixing`; None looks for a kernel.
    mixed
        What `mixing` gave for the same variables, where that is at hand.

    Returns
    -------
    What was found, an empty list if nothing was.
    """
    posterior, stats = group(data, "posterior"), group(data, "sample_stats")
    findings = [Finding("note", note) for note in notes]
    findings += [*_divergences(stats), *_tree_depth(stats)]
    n_chains, n_draws = posterior.sizes["chain"], posterior.sizes["draw"]
    if n_draws < MIN_DRAWS:
        message = f"{_count(n_draws, 'draw')} per chain: too few for R-hat and effective sample sizes."
        return [*findings, Finding("too_few", message)]
    if n_chains == 1:
        message = "Only one chain: whether chains agree cannot be checked. Sample four or more."
        findings.append(Finding("too_few", message))
    findings += [*_bfmi(stats), *_lp(stats)]
    names = list(posterior) if var_names is None else var_names
    return [*findings, *_parameters(posterior, names, address, mixed)]


def report(findings: Iterable[Finding]) -> None:
    """Log each finding as one warning of the logger ``nutmill``, which Python shows on stderr by default."""
    for finding in findings:
        with unheard():
            _log.warning(finding.message)


def _divergences(stats: xr.Dataset) -> Iterator[Finding]:
    diverging = stats["diverging"].values
    total = int(diverging.sum())
    if total == 0:
        return
    yield Finding(
        "divergences",
        f"{total} of {_count(diverging.size, 'draw')} diverged ({_chains(stats, diverging.any(axis=1))}): "
        "a part of the posterior may be missing. Raise target_accept (0.95, 0.99); if divergences stay, "
        "reparameterize, for example to a non-centred form.",
    )


def _tree_depth(stats: xr.Dataset) -> Iterator[Finding]:
    reached = stats["reached_max_treedepth"].values
    if reached.size == 0 or (share := reached.mean(axis=1)).max() <= MAX_SHARE_AT_TREE_LIMIT:
        return
    no_end = " So many are cut off where a posterior has no end: look for flat priors that the data do not bound."
    yield Finding(
        "tree_depth",
        f"The maximum tree depth cut off {share.max():.0%} of the trajectories of the worst chain "
        f"({_chains(stats, share > MAX_SHARE_AT_TREE_LIMIT)}): draws are costly, and near those before them; R-hat and "
        f"effective sample sizes tell what they are worth. Rescale or reparameterize the model, or raise max_treedepth."
        f"{no_end if share.max() > NEARLY_ALL else ''}",
    )


def _bfmi(stats: xr.Dataset) -> Iterator[Finding]:
    energy = stats["energy"].values
    moving = energy.std(axis=1) > 0  # a chain that stands still has no BFMI; R-hat and ESS name it
    bfmi = np.full(len(energy), np.inf)
    bfmi[moving] = (np.diff(energy[moving], axis=1) ** 2).mean(axis=1) / energy[moving].var(axis=1, ddof=1)
    if (low := bfmi < MIN_BFMI).any():
        yield Finding(
            "bfmi",
            f"The energy mixes slowly: BFMI is {bfmi.min():.2f}, below {MIN_BFMI} ({_chains(stats, low)}). "
            "Heavy tails or a scale that varies along the posterior do this: reparameterize.",
        )


def _lp(stats: xr.Dataset) -> Iterator[Finding]:
    """Find chains that sit far below the others: the sign of a mode of little weight."""
    lp = stats["lp"].values
    if len(lp) == 1:
        return
    medians = np.median(lp, axis=1)
    best = lp[medians.argmax()]
    gap = medians.max() - medians
    spread = np.maximum(best.std(), lp.std(axis=1))
    if (low := gap > MAX_LP_GAP * spread).any():
        yield Finding(
            "lp",
            f"The log density lies {gap.max():.3g} below that of the best chain ({_chains(stats, low)}): "
            "the chains are in separate modes. Look at the chains one by one, or give initvals.",
        )


def _parameters(
    posterior: xr.Dataset, names: Sequence[str], address: int | None, mixed: Named | None
) -> Iterator[Finding]:
    """Compute R-hat and ESS of the scalars behind `names`, unless they are known, and name the worst."""
    columns, labels, n_all = scalar_columns(posterior, names)
    finite = np.isfinite(columns).all(axis=(0, 1))
    if not finite.all():
        bad = tuple(label for label, good in zip(labels, finite, strict=True) if not good)
        yield Finding(
            "not_finite",
            f"Draws of {_first(bad)} are not finite. Bound what they are computed from in the model.",
            bad,
        )
    if mixed is None:
        mixed = _mixing(columns, labels, finite, _address() if address is None else address)
    yield from _slow(mixed, len(columns))
    if n_all > columns.shape[-1]:
        yield Finding("sampled", f"R-hat and ESS were computed for {columns.shape[-1]} of {n_all} parameters.")


def _mixing(columns: np.ndarray, labels: Sequence[str], finite: np.ndarray, address: int) -> Named:
    # What never changes in any chain (the diagonal of a correlation matrix) has no R-hat, and needs none.
    kept = finite.copy()
    kept[finite] = np.ptp(columns[..., finite], axis=(0, 1)) > 0
    found = mixing_of(address, columns[..., kept])
    return Named(np.array(labels, dtype=object)[kept], found.rhat, found.ess_bulk)


def _slow(found: Named, n_chains: int) -> Iterator[Finding]:
    """Name the parameters whose chains disagree, and those with too few effective draws."""
    labels, rhat, ess = found
    if (bad := rhat > MAX_RHAT).any():
        order = np.argsort(-rhat)[: bad.sum()]
        worst = [f"{labels[i]} {rhat[i]:.2f}" for i in order]
        yield Finding(
            "rhat",
            f"R-hat is above {MAX_RHAT} for {bad.sum()} of {_count(len(labels), 'parameter')}, worst "
            f"{_first(worst)}: the chains disagree. Draw longer, or reparameterize.",
            tuple(labels[order]),
        )
    wanted = MIN_ESS_PER_CHAIN * n_chains
    if (bad := ess < wanted).any():
        order = np.argsort(ess)[: bad.sum()]
        worst = [f"{labels[i]} {ess[i]:.0f}" for i in order]
        yield Finding(
            "ess",
            f"The effective sample size is below {wanted} ({MIN_ESS_PER_CHAIN} per chain) for {bad.sum()} of "
            f"{_count(len(labels), 'parameter')}, worst {_first(worst)}. Take more draws.",
            tuple(labels[order]),
        )


def scalar_columns(
    posterior: xr.Dataset, names: Sequence[str], most: int | None = None
) -> tuple[np.ndarray, list[str], int]:
    """Put the scalars of some variables side by side, at most so many of them; `MAX_PARAMETERS` unless told.

    Small variables are taken whole, because hyperparameters are where chains disagree; of the large ones an
    equal number of scalars, evenly spaced, fills the rest.

    Returns
    -------
    columns : (n_chains, n_draws, n_parameters) float64
    labels : a name for each column
    n_all : the number of scalars that there are
    """
    numbers = (posterior[name] for name in names if posterior[name].dtype != bool)
    variables = sorted(numbers, key=lambda variable: variable.size)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    columns, labels, n_all, room = [np.empty((*shape, 0))], [], 0, MAX_PARAMETERS if most is None else most
    for position, variable in enumerate(variables):
        n_scalars = math.prod(variable.shape[2:])
        flat = variable.values.reshape(*shape, n_scalars)
        n_taken = min(n_scalars, room // (len(variables) - position))
        taken = np.arange(n_taken) * n_scalars // max(n_taken, 1)
        columns.append(flat[..., taken])
        labels += [_label(variable, index) for index in taken]
        n_all += n_scalars
        room -= n_taken
    return np.concatenate(columns, axis=-1), labels, n_all


def _label(variable: xr.DataArray, flat_index: int) -> str:
    shape, dims = variable.shape[2:], variable.dims[2:]
    if not shape:
        return str(variable.name)
    index = np.unravel_index(flat_index, shape)
    return f"{variable.name}[{', '.join(str(variable[d].values[i]) for d, i in zip(dims, index, strict=True))}]"


def _chains(stats: xr.Dataset, chosen: np.ndarray) -> str:
    numbers = stats["chain"].values[chosen].tolist()
    return f"chain{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _first(names: Sequence[str]) -> str:
    rest = len(names) - N_NAMED
    return ", ".join(names[:N_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"
