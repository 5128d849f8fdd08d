"""Comparisons for real: processes of their own, real samplers, time limits, models that cannot be sent."""

import inspect
import json
import re
import threading
from pathlib import Path

import numpy as np
import pymc as pm
import pytest
from typer.testing import CliRunner

import nutmill
from nutmill.cli.app import app
from nutmill.comparison import rounds, samplers
from nutmill.comparison.comparing import usable_cores
from nutmill.comparison.samplers import SAMPLERS, Sampler
from nutmill.errors import ArgumentError, ModelError, NutmillError
from nutmill.layout.machine.topology import topology

Y = np.array([0.5, 1.5, 1.0, 2.0])
MODEL = """
import pymc as pm
print("this is not JSON")
with pm.Model() as model:
    mu = pm.Normal("mu")
    pm.Normal("y", mu, 1.0, observed=[0.5, 1.5, 1.0, 2.0])
"""


def build():
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("y", mu, 1.0, observed=Y)
    return model


def without_priming(patch) -> None:
    """Let no process start that only makes a sampler ready."""
    run_module = rounds.run_module

    def run(module, request, variables, limit_s):
        return {} if request["model"] is None else run_module(module, request, variables, limit_s)

    patch.setattr(rounds, "run_module", run)


@pytest.fixture
def unprimed(monkeypatch):
    """What is not about times does without processes that make samplers ready."""
    without_priming(monkeypatch)


@pytest.fixture(scope="module")
def compared():
    """Compare nutmill and PyMC, one run of each on one core."""
    with pytest.MonkeyPatch.context() as patch:
        without_priming(patch)
        return nutmill.compare(build(), samplers=["nutmill", "pymc"], draws=300, chains=2, cores=1, repeats=1)


def test_cores_are_those_of_the_topology_which_knows_quotas():
    assert usable_cores(None) == usable_cores(10_000) == topology().n_cores and usable_cores(1) == 1


TURNS = [("nutmill", "cold"), ("pymc", "cold"), ("pymc", "warm"), ("nutmill", "warm")]


def test_samplers_take_turns(monkeypatch):
    monkeypatch.setattr(rounds, "run_module", lambda module, request, variables, limit_s: {"measurement": {}})
    settings, said = rounds.ComparisonSettings(("nutmill", "pymc"), 10, 2, 1, 2, 1, 1.0), []
    rows = list(rounds.measure(rounds.ComparedModel("a.module", "a model"), settings, said.append))
    assert [(row["sampler"], row["caches"]) for row in rows] == TURNS
    assert said[0] == "Making nutmill ready" and said[2] == "Round 1 of 2: nutmill"


@pytest.mark.slow
def test_samplers_are_made_ready_and_find_their_caches():
    found = nutmill.compare(build(), samplers=["nutmill", "pymc"], draws=300, chains=2, cores=1, repeats=2)
    assert [(row["sampler"], row["caches"]) for row in found.rows] == TURNS
    for cold, warm in ((0, 3), (1, 2)):
        cold, warm = (found.rows[i]["measurement"]["compiled"]["cpu"] for i in (cold, warm))
        assert warm < 0.5 * cold
    assert {each.n_runs for each in found.summaries} == {2}


def test_draws_of_both_are_right(compared):
    mean = Y.sum() / (1 + len(Y))
    for row in compared.rows:
        value, mcse = row["measurement"]["means"]["mu"]
        assert row["measurement"]["quality"]["ess_bulk_min"] > 50
        assert abs(value - mean) < 5 * mcse
    assert compared.summaries[1].agreement.label == "mu"


def test_what_a_run_tells(compared):
    for row in compared.rows:
        told = row["measurement"]
        assert told["warmup_gradients"] > 0 and told["draw_gradients"] >= 600
        assert told["n_scalars"] == len(told["means"]) == 1
        assert told["size"]["seed"] == 1 + row["repeat"]
        assert told["peak_rss_mb"] > 50 and told["blas"] and told["versions"]["nutmill"]
        assert told["sampled"]["wall"] > 0.0 and told["built_s"] > 0.0
    assert {each.n_runs for each in compared.summaries} == {1}


def test_seeds_count_on_from_the_first_which_may_be_zero(monkeypatch):
    """The run that makes a sampler ready has one, too."""
    seeds = []

    def note(module, request, variables, limit_s):
        seeds.append(request["size"]["seed"])
        return {"measurement": {}}

    monkeypatch.setattr(rounds, "run_module", note)
    settings = rounds.ComparisonSettings(("nutmill",), 10, 2, 1, 3, 0, 1.0)
    assert len(list(rounds.measure(rounds.ComparedModel("a.module", "a model"), settings))) == 3
    assert seeds == [0, 0, 1, 2]


def test_one_that_takes_too_long_is_given_up():
    found = nutmill.compare(build(), samplers=["nutmill"], draws=10, repeats=3, limit_s=0.05)
    assert [row["failure"] for row in found.rows] == ["no result within 0.05 s"]
    assert "nutmill gave up: no result within 0.05 s" in str(found)


@pytest.fixture
def ghost(monkeypatch):
    """A sampler that is not installed."""
    monkeypatch.setitem(SAMPLERS, "ghost", Sampler("a ghost", "nutmill", needs=("no_such_package",)))


def test_what_is_not_installed_is_listed(ghost, monkeypatch):
    monkeypatch.setattr("nutmill.comparison.comparing.USUAL", ("ghost",))
    found = nutmill.compare(build())
    assert (found.rows, found.missing) == ([], {"ghost": ("no_such_package",)})
    assert "ghost is not installed: pip install no_such_package" in str(found)


def test_a_named_sampler_that_is_not_installed_is_an_error(ghost, tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match=r"^ghost cannot be compared, .*: pip install no_such_package\.$"):
        nutmill.compare(build(), samplers=["nutmill", "ghost"])
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)
    done = CliRunner().invoke(app, ["compare", "model.py:model", "--sampler", "ghost"])
    assert done.stdout == "" and isinstance(done.exception, NutmillError)


def test_a_file_without_its_model_is_told_before_samplers_are_made_ready(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.py").write_text("import no_such_package")
    done = CliRunner().invoke(app, ["compare", "wrong.py:model", "--repeats", "1"])
    assert "wrong.py raised ModuleNotFoundError" in str(done.exception)
    assert "ready" not in done.output


def test_a_version_that_was_not_tested_is_reported(monkeypatch):
    monkeypatch.setitem(samplers.TESTED, "pymc", ("3.11.",))
    notes = nutmill.compare(build(), samplers=["nutmill"], draws=10, repeats=1, limit_s=0.05).notes
    assert re.match(rf"pymc {pm.__version__} is installed; this nutmill was tested with 3\.11\.x: ", notes[0])


def test_samplers_that_are_installed_for_the_tests_are_those_that_were_tested():
    installed = [name for name, sampler in SAMPLERS.items() if not sampler.missing()]
    assert "pymc" in installed
    assert samplers.untested(installed) == {}


def test_what_is_no_model_is_refused():
    with pytest.raises(ArgumentError, match=r"^A pm\.Model can be compared, .*, not 3\.$"):
        nutmill.compare(3)


@pytest.mark.parametrize(("name", "value"), [("draws", 3), ("chains", 1), ("repeats", 0)])
def test_too_little_to_compare_is_refused(name, value):
    with pytest.raises(ArgumentError, match=f"{name} must be at least .* to compare samplers, not {value}"):
        nutmill.compare(build(), samplers=["nutmill"], **{name: value})


def test_bad_input_is_one_sentence():
    with pytest.raises(ArgumentError, match="no sampler 'nutpi' to compare; choose among nutmill"):
        nutmill.compare(build(), samplers=["nutpi"])
    model = build()
    model.lock = threading.Lock()
    with pytest.raises(ModelError, match="cannot be sent to another process"):
        nutmill.compare(model, samplers=["nutmill"])


def test_the_command_compares_on_a_real_model(tmp_path, monkeypatch, unprimed):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)
    sizes = ["--draws", "50", "--chains", "2", "--repeats", "2", "--sampler", "nutmill"]
    result = CliRunner().invoke(app, ["compare", "model.py:model", *sizes, "--json", "--html", "page.html"])
    assert result.exit_code == 0, (result.output, result.exception)
    document = json.loads(result.stdout)
    assert document["title"] == "model.py:model"
    cold, warm = (row["measurement"] for row in document["rows"])
    assert cold["draw_gradients"] > 0 and warm["draw_gradients"] > 0
    assert warm["compiled"]["cpu"] < 0.5 * cold["compiled"]["cpu"]
    assert "<svg" in Path("page.html").read_text()


def test_a_file_that_raises_is_told_before_a_sampler_is_made_ready(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("1 / 0\n")
    result = CliRunner().invoke(app, ["compare", "model.py:model", "--repeats", "1", "--sampler", "nutmill"])
    assert isinstance(result.exception, NutmillError) and "ZeroDivisionError" in str(result.exception)
    assert result.stdout == ""


def test_a_command_that_makes_no_sense(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert "there is no such file" in str(run(app, ["compare", "nowhere.py:model"]).exception)
    compiled = run(app, ["compare", "model.nut"])
    assert isinstance(compiled.exception, NutmillError) and "name the PyMC model" in str(compiled.exception)
    assert run(app, ["compare", "model.py:model", "--chains", "1"]).exit_code == 2


def test_the_low_rank_metric_is_asked_for_as_this_nutpie_wants_it():
    nutpie = pytest.importorskip("nutpie")
    from nutmill.comparison.samplers.nutpie import low_rank_options

    assert low_rank_options(lambda model, *, adaptation="diag": None) == {"adaptation": "low_rank"}
    assert low_rank_options(nutpie.sample).keys() <= inspect.signature(nutpie.sample).parameters.keys()
    assert SAMPLERS["nutpie-low-rank"].options == {"low_rank": True}
