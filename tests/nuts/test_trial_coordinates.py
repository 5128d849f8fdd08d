"""The rule by which the elements of a walk choose their coordinates together: on a walk with a known answer."""

from functools import cache

import numpy as np
import pymc as pm
import pytest
from coordinates import At
from nuts.kernel_groups import new_plan

from nutmill import CompiledModel, compile_model
from nutmill.nuts.group import new_group
from nutmill.nuts.state import COMPARE, TRY, WITHOUT_DRAWS
from nutmill.run.draws_in_memory import DrawsInMemory
from nutmill.run.groups import Group

LENGTH = 60


@cache
def compiled_level() -> CompiledModel:
    """A walk of known length, each value of it seen with known noise; the scale of its steps hardly varies."""
    y = np.cumsum(np.random.default_rng(1).normal(size=LENGTH) * 0.5)
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", np.log(0.5), 0.1)
        first = pm.Normal.dist(0.0, 1.0)
        walk = pm.GaussianRandomWalk("walk", sigma=pm.math.exp(log_scale), init_dist=first, steps=LENGTH - 1)
        pm.Normal("y", walk, pm.Data("noise", 0.5), observed=y)
    return compile_model(model)


def local_level(noise: float) -> CompiledModel:
    """The walk, seen with a noise."""
    return compiled_level().with_data(noise=noise)


def chosen(compiled, n_chains: int, phase: int = COMPARE, barriers: int = 3) -> np.ndarray:
    """Centrednesses that chains have after some comparisons of a warmup."""
    plan = new_plan(tune=None)._replace(centring=True)
    state = new_group(plan, np.zeros((n_chains, compiled.n_dim)), 2, list(range(n_chains)))
    bound = compiled.binding
    state.written[:], state.sites[:], state.joint[:] = bound.written, bound.sites, bound.joint
    group = Group([bound], state, list(range(n_chains)), 1, DrawsInMemory(state, (state.draws, state.statistics)))
    for chain in range(n_chains):
        assert group.start(chain) == 0
    group.pool()
    while barriers:
        for chain in range(n_chains):
            group.advance(chain, 0 if group.phase in WITHOUT_DRAWS else group.n_missing(chain))
        barriers -= group.phase == phase
        group.pool()
    return state.proposed[2:] if group.phase == TRY else state.centredness[0, 2:]


@pytest.mark.parametrize("n_chains", [1, 4])
@pytest.mark.parametrize("noise", [0.02, 0.5, 3.0])
def test_the_centredness_is_that_of_the_information_of_data(noise, n_chains):
    """c^2 / (1 - c) is the information about each value, within the factor of four by which candidates differ."""
    c = chosen(local_level(noise), n_chains)
    assert np.ptp(c) < 1e-12
    with np.errstate(divide="ignore"):
        found = c[0] ** 2 / (1.0 - c[0])
    assert found > 100.0 if noise == 0.02 else 0.2 < found * noise**2 < 5.0


@pytest.mark.parametrize("reparameterize", [False, True])
def test_elements_of_a_gaussian_vector_choose_alike_and_by_what_data_tell(reparameterize):
    """Though the scales of elements whose neighbours are known are small: what counts is the largest."""
    points = np.linspace(0.0, 4.0, 15)
    with pm.Model() as model:
        length, size = pm.LogNormal("length", 0.0, 0.3), pm.HalfNormal("size", 1.0)
        values = pm.gp.Latent(cov_func=size**2 * pm.gp.cov.Matern52(1, ls=length)).prior(
            "v", points[:, None], reparameterize=reparameterize
        )
        pm.Normal("y", values, pm.Data("noise", 0.5), observed=np.sin(points))
    compiled, found = compile_model(model), []
    for noise in (0.03, 0.5, 5.0):
        c = chosen(compiled.with_data(noise=noise), 4)
        assert len(c) == 15 and np.ptp(c) < 1e-12
        found.append(c[0])
    sharp, medium, weak = found
    assert sharp > 0.9 > medium > 0.3 > weak


@pytest.mark.parametrize("noise", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("scale", [0.1, 0.5, 2.0])
def test_there_a_walk_is_as_wide_in_all_directions_whatever_the_scale_of_its_steps(noise, scale):
    information = noise**-2
    c = 2.0 / (1.0 + np.sqrt(1.0 + 4.0 / information))
    at = At(local_level(noise), np.r_[0.0, np.full(LENGTH, c)])
    origin = np.r_[np.log(scale), np.zeros(LENGTH)]
    force = at.density(origin)[1][1:]
    precision = np.array([force - at.density(origin + step)[1][1:] for step in np.eye(LENGTH + 1)[1:]])
    widths = np.linalg.eigvalsh(precision[1:, 1:])
    assert widths[-1] / widths[0] < 3.0


def one_start(model: pm.Model, start: np.ndarray):
    """Start a group of one chain as a run does; returns its state, the model's own centrednesses and the status."""
    compiled = compile_model(model)
    state = new_group(new_plan(tune=None)._replace(centring=True), start[None], 2, [0])
    bound = compiled.binding
    state.written[:], state.sites[:], state.joint[:] = bound.written, bound.sites, bound.joint
    group = Group([bound], state, [0], 1, DrawsInMemory(state, (state.draws, state.statistics)))
    status = group.start(0)
    group.pool()
    group.advance(0, 0)
    return state, bound.written, status


def test_an_autoregression_that_explodes_at_its_start_is_left_as_it_is_written():
    """Its steps do not give its values: 3^200 times the rounding errors are in them."""
    with pm.Model() as model:
        first = pm.Normal.dist(0.0, 1.0)
        series = pm.AR("v", pm.Normal("rho", 0.0, 1.0), pm.HalfNormal("s", 1.0), init_dist=first, steps=200)
        pm.Normal("y", series, 1.0, observed=np.zeros(201))
    start = np.r_[3.0, 0.0, np.random.default_rng(1).normal(size=201)]
    state, written, status = one_start(model, start)
    assert status == 0
    np.testing.assert_array_equal(state.centredness[0], written)
    np.testing.assert_array_equal(state.position[0], start)


def test_a_chain_goes_back_from_coordinates_in_which_no_step_is_short_enough():
    """Steps give the values, but the least move of the first of them moves the last by 2^53 times as much."""
    with pm.Model() as model:
        first = pm.Normal.dist(0.0, 1.0)
        series = pm.AR("v", pm.Normal("rho", 0.0, 1.0), pm.HalfNormal("s", 1.0), init_dist=first, steps=53)
        pm.Poisson("y", pm.math.exp(series), observed=np.full(54, 100))
    start = np.r_[2.0, 0.0, np.random.default_rng(1).normal(5.0, size=54)]
    state, written, status = one_start(model, start)
    assert status == 0
    np.testing.assert_array_equal(state.centredness[0], written)
    np.testing.assert_allclose(state.position[0], start, rtol=1e-12)
    assert np.exp(state.chains[0]["log_step"]) > 1e-3
