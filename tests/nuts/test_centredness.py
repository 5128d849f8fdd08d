"""The rule by which chains choose their coordinates: on draws with known answers, seen through the barrier."""

import numpy as np
import pytest
from nuts.kernel_groups import new_plan, target_group
from targets import Target

from nutmill.nuts.group import new_group
from nutmill.nuts.state import TRY, TURNING, WARMUP
from nutmill.run.groups import Group

END = 49
BLOCKS = [(25, 31), (31, 37), (37, 43), (43, END)]


def posterior(information, spread: float, seed: int = 0, n_chains: int = 4) -> dict[str, np.ndarray]:
    """Draws of effects with a scale that varies and data of some information, as N(0, s) and the data make them.

    Each is (chains, blocks, rows, elements).
    """
    rng = np.random.default_rng([3, seed])
    shape = (n_chains, len(BLOCKS), 16)
    log_scale = spread * rng.standard_normal(shape)[..., None] * np.ones(len(information))
    precision = np.exp(-2.0 * log_scale) + information
    effect = rng.standard_normal(log_scale.shape) / np.sqrt(precision)
    return {"effect": effect, "gradient": -precision * effect, "log_scale": log_scale}


def at_the_barrier(draws: dict[str, np.ndarray], c: float, **changes) -> Group:
    """A group that has come to the end of an epoch with these draws, in coordinates of centredness `c`."""
    n_chains, _, n_rows, n = draws["effect"].shape
    plan = new_plan(tune=400)._replace(centring=True, **changes)
    state = new_group(plan, np.zeros((n_chains, n)), 1, list(range(n_chains)))
    assert state.rows.shape[2:] == (n_rows, 4, n)
    ends = np.cumsum(state.schedule["n_draws"])
    state.group[["phase", "stage", "stage_end", "has_metric"]] = (WARMUP, int(np.searchsorted(ends, END)), END, True)
    for number, (first, end) in enumerate(BLOCKS):
        state.blocks[:, number] = (first, end, n_rows, n_rows)
    state.sites[:], state.centredness[:] = 0, c
    away = draws["log_scale"] - 0.5 * np.log(1.0 - c + c * np.exp(2.0 * draws["log_scale"]))
    rows = (draws["effect"] * np.exp(-away), draws["gradient"] * np.exp(away), 0.0, draws["log_scale"])
    for kind, values in enumerate(rows):
        state.rows[:, :, :, kind] = values
    return target_group(Target.NORMAL, state)


def proposed(draws, c: float, **changes) -> np.ndarray | None:
    """What the chains want; None if they stay."""
    group = at_the_barrier(draws, c, **changes)
    group.pool()
    return group.state.proposed.copy() if group.phase == TRY else None


@pytest.mark.parametrize("c", [0.3, 1.0])
@pytest.mark.parametrize("n_chains", [1, 2, 4])
def test_without_data_a_hierarchy_is_not_centred(c, n_chains, seed):
    np.testing.assert_array_equal(proposed(posterior(np.zeros(9), 1.0, seed, n_chains), c), 0.0)


def test_where_they_are_right_they_stay(seed):
    assert proposed(posterior(np.zeros(9), 1.0, seed), 0.0) is None


def test_much_data_centre(seed):
    assert (proposed(posterior(np.full(9, 400.0), 0.25, seed), 0.0) > 0.8).all()


def test_data_of_as_much_information_as_the_prior_meet_it_half_way(seed):
    found = proposed(posterior(np.ones(30), 0.25, seed), 0.0)
    assert abs(found.mean() - 0.5) < 0.15


def test_elements_with_data_are_more_centred_than_those_without(seed):
    information = np.repeat([0.0, 30.0], 20)
    found = proposed(posterior(information, 0.25, seed), 0.0)
    assert found[:20].mean() < 0.2 < 0.7 < found[20:].mean()


def test_the_order_of_elements_does_not_matter():
    draws, turn = posterior(np.linspace(0.0, 30.0, 12), 0.3), np.random.default_rng(1).permutation(12)
    turned = {name: values[..., turn] for name, values in draws.items()}
    np.testing.assert_array_equal(proposed(turned, 0.0), proposed(draws, 0.0)[turn])


@pytest.mark.parametrize("unit", [1e-4, 1e6])
def test_units_do_not_matter(unit):
    """Centrednesses are told at a scale of 1, which is another one in other units."""
    draws = posterior(np.linspace(0.0, 30.0, 12), 0.3)
    other = {"effect": draws["effect"] * unit, "gradient": draws["gradient"] / unit}
    other["log_scale"] = draws["log_scale"] + np.log(unit)
    one, two = proposed(draws, 0.0), proposed(other, 0.0)
    assert 0.0 < one.mean() < 1.0
    np.testing.assert_allclose(one / (one + (1.0 - one) * unit**2), two, rtol=1e-9)


@pytest.mark.parametrize("c", [0.0, 0.5])
def test_a_move_needs_a_second_witness(c):
    """What half of the chains says is not believed if the other half says the opposite."""
    with_data, without = posterior(np.full(9, 400.0), 0.25), posterior(np.zeros(9), 0.25, 1)
    mixed = {name: values.copy() for name, values in with_data.items()}
    for name in mixed:
        mixed[name][1::2] = without[name][1::2]
    assert proposed(mixed, c) is None


def test_a_scale_that_varies_over_orders_of_magnitude_is_left_alone():
    assert proposed(posterior(np.full(9, 1e6), 3.0), 0.0) is None


def test_chains_that_are_not_admitted_have_no_say():
    draws = posterior(np.zeros(9), 0.25)
    draws["gradient"][3] *= 1e4
    group = at_the_barrier(draws, 1.0)
    group.state.blocks[3]["n_good"] = 0
    group.pool()
    assert group.phase == TRY
    assert not group.state.chains[3]["admitted"]
    np.testing.assert_array_equal(group.state.proposed, 0.0)


def test_few_parameters_of_a_diagonal_metric_choose_too():
    draws = {name: values[:, :, :8] for name, values in posterior(np.zeros(9), 1.0).items()}
    np.testing.assert_array_equal(proposed(draws, 1.0, metric="diag"), 0.0)


def crossed(n: int, spread: float, seed: int) -> dict[str, np.ndarray]:
    """Draws of effects whose contrasts data tell, and not their mean, as where an intercept takes it."""
    rng = np.random.default_rng([4, seed])
    shape = (4, len(BLOCKS), 16)
    log_scale = spread * rng.standard_normal(shape)[..., None] * np.ones(n)
    information = 400.0 * (np.eye(n) - 1.0 / n)
    precision = np.exp(-2.0 * log_scale)
    # The mean has the precision of the prior; all contrasts have that, and what data add.
    deviates = rng.standard_normal((*shape, n))
    mean = deviates.mean(axis=-1, keepdims=True)
    effect = mean / np.sqrt(precision) + (deviates - mean) / np.sqrt(precision + 400.0)
    return {"effect": effect, "gradient": -precision * effect - effect @ information, "log_scale": log_scale}


@pytest.mark.parametrize(("c", "is_turned"), [(0.0, False), (0.5, True)])
def test_a_mean_and_contrasts_choose_apart(seed, c, is_turned):
    """At the barrier draws are as written, or are turned already, as chains that left that place have theirs."""
    draws, n = crossed(6, 0.4, seed), 6
    normal = np.eye(n)[0] - 1.0 / np.sqrt(n)
    turned = np.eye(n) - 2.0 * np.outer(normal, normal) / (normal @ normal)
    if is_turned:
        draws |= {name: draws[name] @ turned for name in ("effect", "gradient")}
    group = at_the_barrier(draws, c)
    group.state.joint[:] = TURNING
    group.pool()
    found = group.state.proposed
    assert group.phase == TRY
    assert found[0] < 0.2
    assert (found[1:] > 0.7).all()


def test_a_site_of_many_elements_needs_no_gain_of_each():
    """Data that tell little of each of 120 effects: what they gain together is no chance."""
    draws = posterior(np.full(120, 0.15), 0.25)
    assert proposed(draws, 0.0) is not None
    assert proposed({name: values[..., :8] for name, values in draws.items()}, 0.0) is None
