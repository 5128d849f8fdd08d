"""Stan beside the model: a real program, compiled and sampled, and what is said where it does not fit."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pymc as pm
import pytest
from typer.testing import CliRunner

import nutmill
from benchmarks import models
from nutmill.cli.app import app
from nutmill.comparison.samplers import stan
from nutmill.errors import ArgumentError, ModelError

PROGRAM = """
data { array[4] real y; }
parameters { real mu; matrix[2, 3] many; }
model {
  mu ~ std_normal();
  y ~ normal(mu, 1);
  for (i in 1:2) for (j in 1:3) many[i, j] ~ normal(10 * i + j, 1);
}
"""
Y = [0.5, 1.5, 1.0, 2.0]


def build():
    with pm.Model(coords={"row": ["a", "b"]}) as model:
        mu = pm.Normal("mu")
        centres = 10.0 * np.arange(1, 3)[:, None] + np.arange(1, 4)
        pm.Normal("many", centres, 1.0, shape=(2, 3), dims=("row", "column"))
        pm.Normal("y", mu, 1.0, observed=Y)
    return model


runs_here = pytest.mark.skipif(
    sys.version_info >= (3, 12) or shutil.which("g++") is None,
    reason="PyStan loads what it compiles up to Python 3.11, and needs g++ for that",
)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stan")
    (folder / "normal.stan").write_text(PROGRAM)
    (folder / "normal.json").write_text(json.dumps({"y": Y}))
    sizes = {"draws": 400, "chains": 2, "cores": 1, "repeats": 2}
    return nutmill.compare(build(), samplers=["nutmill", "stan"], **sizes, stan=folder / "normal.stan")


@runs_here
@pytest.mark.slow  # a program takes a minute to compile
def test_its_draws_are_those_of_the_model(compared):
    rows = [row["measurement"] for row in compared.rows if row["sampler"] == "stan"]
    assert len(rows) == 2
    for told in rows:
        assert told["quality"]["ess_bulk_min"] > 100
        wanted = {"mu": 1.0} | {f"many[{r}, {c}]": 10 * i + c + 1 for i, r in enumerate("ab", 1) for c in range(3)}
        assert told["means"].keys() == wanted.keys()
        for label, (value, mcse) in told["means"].items():
            assert abs(value - wanted[label]) < 5 * mcse
    assert rows[0]["means"]["mu"] != rows[1]["means"]["mu"]  # the second seed draws anew


@runs_here
@pytest.mark.slow
def test_what_it_tells(compared):
    cold, warm = (row["measurement"] for row in compared.rows if row["sampler"] == "stan")
    assert warm["warmup_draws"] == 1000
    assert warm["warmup_gradients"] > 2000 and warm["draw_gradients"] >= 800 and warm["divergences"] == 0
    assert cold["compiled"]["cpu"] > 5 * warm["compiled"]["cpu"]  # the compiler's process is waited for
    assert warm["sampled"]["cpu"] > 0.01  # and so are those of the chains
    assert warm["versions"]["pystan"].startswith("3.")


def fit_of(**variables):
    """Draws of two chains as PyStan gives them: three each, the first a warmup; the chains take turns."""
    stats = {"n_leapfrog__": [[1.0, 1.0, 3.0, 7.0, 3.0, 7.0]], "divergent__": [[1.0, 1.0, 0.0, 1.0, 0.0, 1.0]]}
    return {name: np.array(values) for name, values in (stats | variables).items()}


def test_draws_by_chain():
    many = np.arange(36.0).reshape(2, 3, 6)
    groups = stan._groups(build(), fit_of(mu=[[0.0, 100.0, 1.0, 101.0, 2.0, 102.0]], many=many), 1, 2)
    np.testing.assert_array_equal(groups["posterior"]["mu"], [[1.0, 2.0], [101.0, 102.0]])
    np.testing.assert_array_equal(groups["posterior"]["many"].sel(chain=1, row="b", column=2), many[1, 2, [3, 5]])
    np.testing.assert_array_equal(groups["sample_stats"]["n_steps"], [[3, 3], [7, 7]])
    np.testing.assert_array_equal(groups["sample_stats"]["diverging"], [[False, False], [True, True]])
    np.testing.assert_array_equal(groups["warmup_sample_stats"]["diverging"], [[True], [True]])


def test_a_program_of_another_model():
    with pytest.raises(ModelError, match="The Stan program has no variable called many, which the model has"):
        stan._groups(build(), fit_of(mu=[[0.0] * 6]), 1, 2)
    with pytest.raises(ModelError, match="many has 2 axes in the model and 1 in the Stan program"):
        stan._groups(build(), fit_of(mu=[[0.0] * 6], many=np.zeros((2, 6))), 1, 2)


def test_a_program_that_is_not_there():
    with pytest.raises(ArgumentError, match=r"name the file, as in stan='model\.stan'"):
        nutmill.compare(build(), samplers=["stan"])
    with pytest.raises(ArgumentError, match=r"There is no Stan program .*nowhere\.stan"):
        nutmill.compare(build(), samplers=["stan"], stan="nowhere.stan")


def test_the_command_names_the_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("import pymc as pm\nwith pm.Model() as model:\n    pm.Normal('x')\n")
    result = CliRunner().invoke(app, ["compare", "model.py:model", "--stan", "nowhere.stan"])
    assert isinstance(result.exception, ArgumentError) and "There is no Stan program" in str(result.exception)


PROGRAMS = [*models.MODELS, *(name for name in models.FURTHER if name != "crossed")]
# What sums to zero, or is made of others, is no parameter of the program.
ZERO_SUMS = {"league": ("attack", "defence"), "chess": ("skill",), "state_polls": ("lean",)}
REPORTED = {"varying_slopes": ("covariance",)} | ZERO_SUMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_the_suite_have_the_variables_of_the_models(name, tmp_path):
    files = models.stan_files(name, tmp_path)
    with open(files["program"]) as program, open(files["data"]) as data:
        text, known = program.read(), json.load(data)
    reported = set(REPORTED.get(name, ()))
    free = {variable.name for variable in models.build(name).free_RVs}
    assert free - reported <= declared(text, "parameters")
    assert reported <= declared(text, "transformed parameters")
    assert declared(text, "data") <= known.keys()
    assert all(np.size(value) for value in known.values())


def declared(program, block):
    """Names of the variables that a block of a program declares."""
    found = re.search(rf"^{block} \{{(.*?)^\}}", program, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"^  [a-z].*?(\w+)(?: =.*)?;$", found[1], re.MULTILINE)) if found else set()


@runs_here
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of aiohttp and others, within PyStan
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "varying_slopes"])
def test_density_of_a_program_is_that_of_the_model(name, tmp_path, monkeypatch):
    """But for a constant, and without that of the transforms; one program has other coordinates than the model."""
    import stan as pystan

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = models.stan_files(name, tmp_path)
    with open(files["program"]) as program, open(files["data"]) as data:
        built = pystan.build(program.read(), data=json.load(data))
    model = models.build(name)
    values = model.compile_fn(model.replace_rvs_by_values(model.free_RVs), inputs=model.value_vars)
    logp = model.compile_logp(jacobian=False)
    rng, start = np.random.default_rng(5), model.initial_point()
    ours, theirs = [], []
    for _ in range(3):
        point = {key: value + 0.1 * rng.normal(size=np.shape(value)) for key, value in start.items()}
        constrained = {v.name: a.tolist() for v, a in zip(model.free_RVs, values(point), strict=True)}
        for zero_sum in ZERO_SUMS.get(name, ()):
            constrained[f"{zero_sum}_free"] = without_a_sum(np.array(constrained.pop(zero_sum)))
        ours.append(float(logp(point)))
        theirs.append(built.log_prob(built.unconstrain_pars(constrained), adjust_transform=False))
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=1e-6, atol=1e-8 * np.abs(ours).max())


def without_a_sum(values):
    """Coordinates of values that sum to zero, in the orthonormal basis of the programs."""
    steps = range(1, len(values))
    return [float(values[:k].sum() - k * values[k]) / np.sqrt(k * (k + 1.0)) for k in steps]
