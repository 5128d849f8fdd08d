"""The clock of samplers on JAX: what it measures ends when the draws are there, not when PyMC returns."""

import pytest
from processes import output_of, start

from nutmill.comparison.samplers import SAMPLERS

BLACKJAX = SAMPLERS["blackjax"]
# Two chains, each on a device of its own as PyMC spreads them: what is returned is computed when `allowed` is set.
CODE = """
import threading
import jax
import numpy as np
import pymc as pm
import pymc.sampling.jax
import xarray as xr
from nutmill.comparison.samplers import on_jax
from nutmill.comparison.samplers.contract import Size

def late(draws):
    allowed.wait(60)
    return np.asarray(draws)

def sample(**_):
    threading.Timer(0.5, allowed.set).start()
    draws = xr.Dataset({"x": (("chain", "draw"), sampler(seeds))})
    return xr.DataTree.from_dict({"posterior": draws, "sample_stats": draws})

allowed, seeds = threading.Event(), np.arange(6, dtype=np.int32).reshape(2, 3)
sampler = jax.pmap(lambda seeds: jax.pure_callback(late, jax.ShapeDtypeStruct(seeds.shape, seeds.dtype), seeds))
# What compiles and imports, neither of which counts as sampling, is done before.
jax.block_until_ready(sample()["posterior"]["x"].data)
allowed.clear()
draws = sampler(seeds)
print(draws.is_ready())
allowed.set()
draws.block_until_ready()
allowed.clear()
pm.sample = sample
print(on_jax.run(None, Size(draws=3, chains=2, cores=1, seed=1), library="blackjax").sampled.wall >= 0.5)
"""


@pytest.mark.skipif(bool(BLACKJAX.missing()), reason=f"needs {', '.join(BLACKJAX.needs)}")
def test_time_until_lazy_draws_are_computed_counts_as_sampling():
    variables = {name: value.format(chains=2) for name, value in BLACKJAX.variables.items()}
    assert output_of(start(CODE, **variables)).split() == ["False", "True"]
