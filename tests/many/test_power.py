"""Power: beside closed forms of a model whose posterior has one, by designs, and every way in which it may be wrong."""

from functools import cache

import numpy as np
import pymc as pm
import pytest
from assertions import MAX_Z
from scipy import stats

from nutmill import ArgumentError, ModelError, power

FAST = {"draws": 100, "chains": 2, "progressbar": False}


@cache
def trial():
    """An effect, measured once for each of some patients."""
    with pm.Model() as model:
        patient = pm.Data("patient", np.zeros(3))
        effect = pm.Normal("effect", 0, 1)
        pm.Normal("y", effect + 0 * patient, 1, observed=pm.Data("measured", np.zeros(3)), shape=patient.shape)
    return model


def design(n):
    return {"patient": np.zeros(n), "measured": np.zeros(n)}


def decide(fit, truth):
    """The effect is found; its interval of 90 % covers it; how many were measured."""
    low, high = np.quantile(fit.draws["effect"], [0.05, 0.95])
    number = sum(a.value.size for a in fit.model.description.arrays if a.name == "measured")
    covers = low < truth["effect"] < high if "effect" in truth else True
    return {"finds": low > 0, "covers": covers, "number": number}


def found_with(effect, n):
    """Probability that 95 % of the posterior lies above 0, where the effect is known."""
    # The posterior has the mean n / (n + 1) of the average, and the standard deviation 1 / sqrt(n + 1).
    return stats.norm(effect, 1 / np.sqrt(n)).sf(stats.norm.ppf(0.95) * np.sqrt(n + 1) / n)


def test_a_known_effect_is_found_as_often_as_it_should(seed):
    known = pm.do(trial(), {"effect": 0.8})
    result = power(
        trial(), decide, 150, designs={n: design(n) for n in (3, 9)}, simulate_from=known, random_seed=seed, **FAST
    )
    found = result["power"]["finds"]
    assert found["design"].values.tolist() == [3, 9]
    assert result["power"]["number"].sel(statistic="mean").values.tolist() == [3, 9]
    for n in (3, 9):
        p = found_with(0.8, n)
        # Draws know the quantile a little less well than the posterior does.
        assert abs(found.sel(design=n, statistic="mean") - p) < MAX_Z * np.sqrt(p * (1 - p) / 150) + 0.02
    kept = result["kept"]["finds"].values.reshape(2, 150)
    np.testing.assert_allclose(found.sel(statistic="mcse"), kept.std(axis=1, ddof=1) / np.sqrt(150))


def test_intervals_cover_what_priors_give(seed):
    result = power(trial(), decide, 150, random_seed=seed, **FAST)
    covered = result["power"]["covers"]
    assert abs(covered.sel(statistic="mean") - 0.9) < MAX_Z * np.sqrt(0.09 / 150) + 0.02
    assert covered.dims == ("statistic",)


def test_designs_share_their_truths_and_leave_the_model_as_it_was():
    truths = {}

    def keep(fit, truth):
        truths[fit.number] = float(truth["effect"])
        return {"x": 0.0}

    one = power(trial(), keep, 4, designs={"few": design(2), "many": design(5)}, random_seed=1, **FAST)
    assert [truths[number] for number in range(4)] == [truths[number] for number in range(4, 8)]
    assert len(set(truths.values())) == 4
    assert trial()["patient"].get_value().tolist() == [0, 0, 0]
    other = power(trial(), keep, 4, designs={"few": design(2), "many": design(5)}, cores=3, random_seed=1, **FAST)
    assert one["fits"].to_dataset().identical(other["fits"].to_dataset())


WRONG = {
    "no-function": ({"decide": 3}, ArgumentError, "decide must be a function"),
    "count": ({"n": 2.5}, ArgumentError, "n must be a whole number, at least 1, not 2.5"),
    "no-model": ({"simulate_from": 3}, ModelError, "a pm.Model is needed, not int"),
    "no-designs": ({"designs": {}}, ArgumentError, "There are no designs"),
    "no-mapping": ({"designs": {"a": 3}}, ArgumentError, "designs must be a mapping"),
    "strange": ({"designs": {"a": {"dose": [1.0]}}}, ModelError, "no pm.Data called dose. It has patient, measured"),
    "rank": (
        {"designs": {"a": {"patient": np.zeros((2, 2))}}},
        ModelError,
        r"^Design 'a': The data do not fit the model.*[^.]\.$",
    ),
    "which": ({"designs": {"a": design(2), "b": {"dose": [1.0]}}}, ModelError, "Design 'b': .* called dose"),
    "compiled": ({"model": 3}, ArgumentError, "A model is a pm.Model"),
    "decided": ({"decide": lambda fit, truth: 3}, ModelError, "keep must return"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused(wrong):
    given, error, said = WRONG[wrong]
    with pytest.raises(error, match=said):
        power(**{"model": trial(), "decide": decide, "n": 2, "random_seed": 1, **FAST, **given})
    assert trial()["patient"].get_value().tolist() == [0, 0, 0]
