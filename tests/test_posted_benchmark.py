"""The benchmark of posted kinds of models: what it counts as clean, and that each of its models can be sampled."""

import pytest

from benchmarks.posted.cell import row
from benchmarks.posted.command import MODELS
from benchmarks.posted.tables import sections
from nutmill import compile_model, sample_numba


def run(seed: int, **changes) -> dict:
    """Return what a clean run leaves, with changes."""
    clean = {"rhat": 1.004, "ess_bulk": 1200.0, "ess_tail": 900.0, "slowest": "tau", "divergences": 0}
    return {"model": "frailty", "sampler": "nutmill", "seed": seed, "gradients": 40_000} | clean | changes


@pytest.mark.parametrize("fault", [{"rhat": 1.02}, {"ess_bulk": 399.0}, {"ess_tail": 399.0}, {"divergences": 1}])
def test_each_fault_makes_a_run_unclean(fault):
    (told,) = sections({"rows": [run(1), run(2, **fault), {"model": "frailty", "failure": "killed"}]})
    assert "nutmill: 1 of 2 runs" in told
    assert "| frailty | nutmill | 1 of 2 |" in told


# Compiling all of them takes half a minute; the cheapest stands for the rest.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "frailty")) for name in MODELS]
)
def test_a_run_is_measured(name):
    model = MODELS[name]()
    options = {"progressbar": False, "compute_convergence_checks": False, "discard_tuned_samples": False}
    trace = sample_numba(compile_model(model), draws=20, tune=20, chains=2, random_seed=1, **options)
    found = row(trace, [variable.name for variable in model.free_RVs], 1)
    assert found.keys() == run(1).keys() - {"model", "sampler"} | {"warmup_gradients"}
    assert found["gradients"] > found["warmup_gradients"] > 0
