"""`nutmill diagnose`: numbers, findings and exit codes of results on disk."""

import json
import math

import arviz
import numpy as np
import pytest
from diagnosis.test_diagnosis import good_posterior, good_stats
from typer.testing import CliRunner

from nutmill.cli.app import app
from nutmill.diagnosis import posterior_scalars
from nutmill.diagnosis.verdict import Verdict
from nutmill.results.storage import save
from nutmill.results.trace import Draws, ModelData, group, to_arviz

SHAPE = (4, 500)


@pytest.fixture
def stored(tmp_path):
    """Give a function that stores draws and returns the path."""

    def store(posterior=None, stats=None, name="draws.nc"):
        draws = Draws(posterior or good_posterior(SHAPE), good_stats(SHAPE) if stats is None else stats)
        save(to_arviz(draws, ModelData()), tmp_path / name)
        return tmp_path / name

    return store


def diagnosed(*arguments, code=0):
    result = CliRunner().invoke(app, ["diagnose", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_good_draws_exit_with_0(stored):
    path = stored()
    said = diagnosed(path, "--strict").stdout.splitlines()
    assert said[0].startswith("4 chains x 500 draws, 0 divergent; largest R-hat 1.0")
    assert said[1:] == ["No problem was found."]
    document = json.loads(diagnosed(path, "--json").stdout)
    assert document["chain_ids"] == [0, 1, 2, 3]
    assert (document["draws"], document["divergences"], document["parameters"]) == (500, 0, 3)
    assert document["findings"] == []
    assert document["result"] == str(path)


def test_the_numbers_are_arviz_s(stored):
    posterior = good_posterior(SHAPE)
    document = json.loads(diagnosed(stored(posterior, name="draws.zarr"), "--json").stdout)
    dataset = group(to_arviz(Draws(posterior, good_stats(SHAPE)), ModelData()), "posterior")
    ess, rhat = arviz.ess(dataset), arviz.rhat(dataset)
    least = min(float(ess["mu"]), *ess["theta"].values.tolist())
    worst = max(float(rhat["mu"]), *rhat["theta"].values.tolist())
    assert document["min_ess"]["value"] == pytest.approx(least, rel=1e-12)
    assert document["max_rhat"]["value"] == pytest.approx(worst, rel=1e-12)


def test_they_are_computed_once(stored, monkeypatch):
    calls, compute = [], posterior_scalars.mixing_of
    monkeypatch.setattr(posterior_scalars, "mixing_of", lambda *given: calls.append(1) or compute(*given))
    diagnosed(stored())
    assert len(calls) == 1


def test_doubtful_draws_exit_with_4_when_asked(stored):
    posterior, stats = good_posterior(SHAPE), good_stats(SHAPE)
    posterior["mu"][3] += 5.0
    stats["diverging"][0, 7] = True
    path = stored(posterior, stats)
    assert "R-hat is above 1.01" in diagnosed(path).stdout
    document = json.loads(diagnosed(path, "--strict", "--json", code=4).stdout)
    assert {finding["kind"] for finding in document["findings"]} >= {"divergences", "rhat", "ess"}
    assert document["max_rhat"]["parameter"] == "mu" and document["max_rhat"]["value"] > 1.5
    assert document["divergences"] == 1


def test_what_is_infinite_is_json_too():
    verdict = Verdict([0, 1], 500, 1.0, 0, 1, (math.inf, "mu"), (0.0, "mu"), (0.0, "mu"), [])
    document = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
    assert document["max_rhat"] == {"value": None, "parameter": "mu"}
    assert "largest R-hat inf (mu)" in verdict.lines()[0]


def test_few_draws_and_one_chain_have_a_verdict(stored):
    few = stored({"mu": np.zeros((1, 3))}, good_stats((1, 3)))
    document = json.loads(diagnosed(few, "--json", "--strict", code=4).stdout)
    assert (document["max_rhat"], document["min_ess"]) == (None, None)
    one = stored(good_posterior((1, 500)), good_stats((1, 500)))
    document = json.loads(diagnosed(one, "--json").stdout)
    assert document["max_rhat"] is None and document["min_ess"]["value"] > 100


def test_faults_are_one_sentence(tmp_path, nutmill):
    done = nutmill("diagnose", tmp_path / "none.nc")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"nutmill: The result {tmp_path}/none.nc cannot be read: there is no such file.\n"
    diagnosed(code=2)
