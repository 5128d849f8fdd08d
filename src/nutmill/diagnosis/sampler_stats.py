"""The statistics of draws that findings read, whichever sampler has made the draws."""

import numpy as np
import xarray as xr

# What nutpie calls them in its own results; `pm.sample` renames them.
_ELSEWHERE = {"reached_max_treedepth": "maxdepth_reached", "lp": "logp"}
# Values that lead to no finding, for a sampler that does not tell: NumPyro and BlackJAX do not tell of the limit of
# trees, Metropolis and slice samplers of none of these.
_SILENT = {"diverging": False, "reached_max_treedepth": False, "energy": 0.0, "lp": 0.0}


def known(stats: xr.Dataset, posterior: xr.Dataset) -> xr.Dataset:
    """Give `diverging`, `reached_max_treedepth`, `energy` and `lp`, each of (chain, draw), whoever made the draws.

    What the sampler does not tell has a value that leads to no finding.
    """
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    found = {}
    for name, silent in _SILENT.items():
        told = stats.get(name, stats.get(_ELSEWHERE.get(name, name)))
        is_told = told is not None and told.dims == ("chain", "draw")
        found[name] = (("chain", "draw"), np.asarray(told) if is_told else np.full(shape, silent))
    return xr.Dataset(found, {"chain": posterior["chain"], "draw": posterior["draw"]})
