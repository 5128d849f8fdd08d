"""Crossed effects under an intercept: what chains of turned coordinates write is the model's own, and they mix."""

import numpy as np
import pymc as pm
import pytest

from nutmill import adaptation_of, compile_model, sample_numba
from nutmill.diagnosis.posterior_scalars import scalar_facts
from nutmill.results.trace import group
from nutmill.run.groups import new_groups
from nutmill.run.run import Settings

QUIET = {"progressbar": False, "compute_convergence_checks": False, "cores": 2}


def crossed() -> pm.Model:
    """Two crossed factors of few levels, one written centred and one not, that differ much beside the noise."""
    rng = np.random.default_rng(20261130)
    sex, age = rng.integers(0, 3, 300), rng.integers(0, 6, 300)
    y = 0.4 + np.array([0.5, -0.3, 0.2])[sex] + np.array([0.4, 0.1, -0.6, 0.3, 0.0, -0.2])[age] + rng.normal(size=300)
    with pm.Model() as model:
        intercept, of_sex, of_age = pm.Normal("intercept", 0.0, 3.0), pm.HalfNormal("s", 1.0), pm.HalfNormal("t", 1.0)
        effects = pm.Normal("v", 0.0, of_sex, shape=3)[sex] + (of_age * pm.Normal("z", 0.0, 1.0, shape=6))[age]
        pm.Normal("y", intercept + effects, 1.0, observed=y)
    return model


@pytest.fixture(scope="module")
def compiled():
    return compile_model(crossed())


@pytest.fixture(scope="module")
def result(compiled):
    kept = {"include_transformed": True}
    return sample_numba(
        compiled, draws=60, tune=150, random_seed=3, discard_tuned_samples=False, idata_kwargs=kept, **QUIET
    )


def positions_of(result, kind: str) -> np.ndarray:
    """Positions (chains, draws, n_dim) in the coordinates of the model as it is written."""
    pieces = group(result, f"{kind}unconstrained_posterior")
    names = ("intercept", "s_log__", "t_log__", "v", "z")
    columns = [pieces[name].values.reshape(*pieces[name].shape[:2], -1) for name in names]
    return np.concatenate(columns, axis=-1)


def test_draws_and_log_densities_are_those_of_the_model_as_written(compiled, result):
    centredness = group(result, "adaptation")["centredness"].values
    assert (np.abs(centredness - compiled.binding.written)[:, 3:].max(axis=1) > 0.1).all()  # they are turned
    for kind in ("", "warmup_"):
        lp, positions = group(result, f"{kind}sample_stats")["lp"].values, positions_of(result, kind)
        for chain, draw in ((0, 0), (1, 20), (3, 59)):
            assert lp[chain, draw] == pytest.approx(compiled.logp_dlogp(positions[chain, draw])[0], rel=1e-9)


def test_chains_stand_where_they_began(compiled):
    """In whichever coordinates: half way between centred and not, here."""
    settings, starts = Settings(draws=1, tune=150, centring="auto"), compiled.starts(None, 4, 3, jitter=True)
    (group_,) = new_groups([compiled.binding], starts, settings, 3, [0, 1, 2, 3])
    group_.state.proposed[3:] = 0.5
    for chain in range(4):
        assert group_.start(chain) == 0
    group_.pool()
    assert not np.allclose(group_.state.position[:, 3:], starts[:, 3:])
    np.testing.assert_allclose(group_.position_as_written(), starts, rtol=1e-9, atol=1e-9)


def test_divergences_lie_where_the_model_as_written_has_them(compiled, result):
    """With steps that are far too long: many of the first diverge, from where the draw before was."""
    state = adaptation_of(result)
    state = state._replace(step_size=state.step_size * 12)
    kept = {"divergences": True, "include_transformed": True}
    far = sample_numba(compiled, adaptation_state=state, draws=100, tune=0, random_seed=3, idata_kwargs=kept, **QUIET)
    found, positions = group(far, "divergences"), positions_of(far, "")
    starts, gradients = found["start"].values, found["gradient"].values
    for start, gradient in zip(starts, gradients, strict=True):
        np.testing.assert_allclose(compiled.logp_dlogp(start)[1], gradient, rtol=1e-9, atol=1e-9)
    places = zip(found["chain_id"].values, found["draw_id"].values, strict=True)
    before = [positions[chain, max(draw - 1, 0)] for chain, draw in places]
    assert sum(map(np.allclose, starts, before)) > 0.9 * len(starts) > 10


def test_they_mix_as_if_scales_were_known(compiled):
    """Where means are not told apart from contrasts the slowest has 440 to 760 effective draws of these 2000."""
    for seed in range(3):
        found = scalar_facts(group(sample_numba(compiled, draws=500, random_seed=seed, **QUIET), "posterior")).mixed
        assert found.ess_bulk.min() > 1500
        assert found.rhat.max() < 1.01
