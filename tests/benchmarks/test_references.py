"""The page of posteriors with references: what it measures, and that a wrong prior or a doubtful run is seen."""

import json
from itertools import pairwise, product

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy.integrate import solve_ivp

from benchmarks import report
from benchmarks.models import elimination, hidden_markov, lotka_volterra
from benchmarks.models.posteriordb import load_data, load_references
from benchmarks.references import command, tables
from benchmarks.references.posteriors import POSTERIORS
from benchmarks.references.tables import is_clean, is_right, verdict
from nutmill.comparison.samplers.contract import Size

SCHOOLS = "eight_schools-eight_schools_noncentered"
COSTS = {"compiled_cpu_s": 1.0, "sampled_cpu_s": 0.1}
SOUND = {"rhat": 1.002, "ess_bulk": 2000.0, "ess_tail": 1500.0, "divergences": 0, "distances": {}} | COSTS


def measured(z_mean=0.5, z_sd=-0.5, **changes):
    return SOUND | {"distances": {"mu": {"mean": z_mean, "sd": z_sd}}} | changes


def row(model, **changes):
    return {"cell": "reference", "model": model, "sampler": "nutmill", "seed": 1, "measurement": measured(**changes)}


@pytest.mark.parametrize(
    "changes",
    [
        {"rhat": 1.011},
        {"ess_bulk": 399.0},
        {"ess_tail": 399.0},
        {"divergences": 1},
        {"rhat": float("nan")},
        {"ess_tail": float("nan")},
    ],
)
def test_what_a_reader_would_complain_of_is_not_clean(changes):
    assert is_clean(measured())
    assert not is_clean(measured(**changes))


def test_every_posterior_with_references_has_a_model():
    assert POSTERIORS.keys() == load_references().keys() and len(POSTERIORS) == 45


EQUATIONS = (
    (
        lambda t, z: [(0.7 - 0.04 * z[1]) * z[0], (-1.0 + 0.03 * z[0]) * z[1]],
        [40.0, 8.0],
        np.arange(1.0, 21.0),
        lambda: pt.exp(lotka_volterra.log_populations(pt.log(pt.as_tensor([40.0, 8.0])), [0.7, 0.04, 1.0, 0.03], 20)),
    ),
    (
        lambda t, c: [np.exp(-0.8 * t) * 15.0 * 0.8 - 0.4 * c[0] / (0.05 + c[0])],
        [0.0],
        np.arange(0.5, 10.5, 0.5),
        lambda: elimination.concentrations(0.8, 15.0, (0.4, 0.05), np.arange(0.5, 10.5, 0.5))[:, None],
    ),
)


@pytest.mark.parametrize(("slopes", "start", "times", "ours"), EQUATIONS, ids=["lotka_volterra", "elimination"])
def test_equations_are_solved(slopes, start, times, ours):
    exact = solve_ivp(slopes, (0.0, times[-1]), start, "LSODA", times, rtol=1e-10, atol=1e-12).y.T
    np.testing.assert_allclose(ours().eval(mode="FAST_COMPILE"), exact, rtol=3e-4)


def test_all_paths_of_a_hidden_markov_model_are_summed():
    rng = np.random.default_rng(20261129)
    emissions, moves = rng.normal(size=(5, 2)), rng.dirichlet([1.0, 1.0], size=2)
    total = 0.0
    for path in product((0, 1), repeat=5):
        steps = np.prod([moves[now, later] for now, later in pairwise(path)])
        total += steps * np.exp(sum(emissions[range(5), path]))
    found = hidden_markov.log_likelihood(pt.as_tensor(emissions), pt.as_tensor(moves))
    np.testing.assert_allclose(found.eval(mode="FAST_COMPILE"), np.log(total))


@pytest.mark.parametrize("changes", [{"z_mean": -4.1}, {"z_sd": 4.1}, {"z_sd": float("nan")}])
def test_what_is_far_off_is_not_right(changes):
    assert is_right(measured())
    assert not is_right(measured(**changes))


def test_the_verdict_counts_and_names():
    told = verdict([row("a"), row("b", z_sd=5.0), row("b"), row("c", divergences=2)])
    assert "2 of 3 are within 4 standard errors of their references (not b); 3 of 4 runs." in told
    assert "2 of 3 are clean (not c); 3 of 4 runs." in told


def schools_with_a_wrong_prior():
    """Eight schools, but for the prior of `tau`: a scale of 1 instead of 5."""
    data = load_data("eight_schools")
    with pm.Model() as model:
        theta_trans = pm.Normal("theta_trans", 0.0, 1.0, shape=8)
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 1.0)
        pm.Normal("y", pm.Deterministic("theta", mu + tau * theta_trans), data["sigma"], observed=data["y"])
    return model


def test_a_wrong_prior_is_seen():
    found = command.run(schools_with_a_wrong_prior, load_references()[SCHOOLS], "nutmill", Size(1000, 4, 2, 1))
    assert not is_right(found) and abs(found["distances"]["tau"]["mean"]) > 10.0


def test_the_command(tmp_path):
    path = command.main(["--models", SCHOOLS, "--samplers", "nutmill", "--out", str(tmp_path)])
    (found,) = json.loads(path.read_text())["rows"]
    assert len(found["measurement"]["distances"]) == 10 and is_right(found["measurement"])
    report.main([str(path)])
    text = path.with_suffix(".md").read_text()
    assert "1 of 1 are within 4 standard errors" in text and f"| {SCHOOLS} | 1 |" in text
    assert "process of its own" not in text


def test_samplers_stand_side_by_side():
    theirs = row("a", z_mean=-5.0, ess_tail=300.0) | {"sampler": "nutpie"}
    late = {"model": "b", "sampler": "nutpie", "skipped": "no time was left of 1 minutes"}
    report = {"rows": [row("a"), row("b"), theirs, late], "settings": {"samplers": ["nutmill", "nutpie"]}}
    text = "\n".join(tables.sections(report))
    assert "| a | +0.5 | yes | 1500 | **-5.0** | **no** | 300 |" in text
    assert "| b | +0.5 | yes | 1500 | not measured |  |  |" in text
    assert "no time was left of 1 minutes: nutpie (in one process) on b." in text


def test_what_fails_and_what_is_late_are_rows(monkeypatch):
    def raises(*arguments):
        raise ValueError("no\nmore")

    monkeypatch.setattr(command, "run", raises)
    settings = {"models": [SCHOOLS], "samplers": ["nutmill"], "first_seed": 1, "seeds": 1, "draws": 10, "cores": 1}
    (failed,) = command.measure(settings | {"minutes": 1.0})
    assert failed["failure"] == "ValueError: no" and failed["seed"] == 1
    (late,) = command.measure(settings | {"minutes": -1.0})
    assert late["skipped"].startswith("no time was left")
