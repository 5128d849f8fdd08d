"""The statistics of draws that findings read, whichever sampler has made the draws."""

import numpy as np
import xarray as xr

# What nutpie calls them in its own results; `pm.sample` renames them.
_ELSEWHERE = {"reached_max_treedepth": "maxdepth_reached", "lp": "logp"}
_DIMS = ("chain", "draw")
# Values that lead to no finding, for a sampler that does not tell: NumPyro and BlackJAX do not tell of the limit of
# trees, Metropolis and slice samplers of none of these.
_SILENT = {"diverging": False, "reached_max_treedepth": False, "energy": 0.0, "lp": 0.0}


def known(stats: xr.Dataset, posterior: xr.Dataset) -> xr.Dataset:
    """Give `diverging`, `reached_max_treedepth`, `energy` and `lp`, each of (chain, draw), whoever made the draws.

    What the sampler does not tell has a value that leads to no finding.
    """
    if all(_of_draws(stats, name) is not None for name in _SILENT):
        return stats  # ours: to make another Dataset would import Dask, which takes longer than a short run
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    found = {}
    for name, silent in _SILENT.items():
        values = _of_draws(stats, name)
        if values is None:
            values = _of_draws(stats, _ELSEWHERE.get(name, name))
        found[name] = (_DIMS, np.full(shape, silent) if values is None else np.asarray(values))
    return xr.Dataset(found, {"chain": posterior["chain"], "draw": posterior["draw"]})


def _of_draws(stats: xr.Dataset, name: str) -> xr.DataArray | None:
    """Find a statistic that has one value for each draw of each chain."""
    return stats[name] if name in stats and stats[name].dims == _DIMS else None
