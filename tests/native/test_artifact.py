"""Files of compiled models: what is loaded equals what was saved, to the last bit, where nothing can compile."""

import datetime
import os

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import zoo
from artifacts import WITHOUT_COMPILERS, again, facts, facts_elsewhere, groups
from processes import output_of, start
from saved import content, refused, small
from zoo_graphs import ZOO

from nutmill import compile_model, load, sample_numba
from nutmill.results.trace import group


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.nut"


# No other quick test needs these two, and they take the longest to compile.
DEAR = ["covariance", "cut_off"]
CHEAP = [name for name in ZOO if name not in DEAR]


@pytest.mark.parametrize("names", [CHEAP, pytest.param(DEAR, marks=pytest.mark.slow)], ids=["cheap", "dear"])
def test_another_process_finds_the_same_bytes(tmp_path, names):
    here = {}
    for name in names:
        compiled = zoo.compiled(name)
        compiled.save(tmp_path / f"{name}.nut")
        here[name] = facts(compiled)
    there = facts_elsewhere(tmp_path)
    for name, found in here.items():
        assert there[name] == found, name
        assert {"value", "gradient", "starts", "start 0", "dims"} < set(found)
        kinds = {fact.split()[0] for fact in found}
        assert {"posterior", "sample_stats", "warmup_posterior"} < kinds
        assert "observed_data" in kinds or name == "transforms"


def test_no_compiler_is_imported_for_a_result(path):
    """ArviZ 0.23 imports Numba itself, for the object that holds the result.

    And xarray imports Sparse, where that is installed, and so Numba, when it is asked for a mean, which is not ours.
    """
    small().save(path)
    code = f"""
import sys, nutmill
from nutmill.results import trace
make = trace._container
def check(groups, attrs):
    assert not {{"pymc", "pytensor", "numba"}} & set(sys.modules), "before the result"
    return make(groups, attrs)
trace._container = check
result = nutmill.sample(nutmill.load({str(path)!r}), draws=20, tune=20, chains=2, progressbar=False)
print(result["posterior"]["mu"].values.mean(), *{{"pymc", "pytensor", "numba"}} & set(sys.modules))
"""
    printed = output_of(start(code)).split()
    assert -2.0 < float(printed[0]) < 3.0
    modern = int(pm.__version__.split(".")[0]) >= 6
    assert set(printed[1:]) <= (set() if modern else {"numba"})


def test_finder_of_compilers_refuses():
    process = start(WITHOUT_COMPILERS + "import pymc")
    assert "pymc is imported" in process.communicate()[1] and process.returncode


def test_a_result_has_the_same_groups():
    first, second = (
        sample_numba(
            model, draws=20, tune=20, chains=1, progressbar=False, random_seed=1, compute_convergence_checks=False
        )
        for model in (small(), again(small()))
    )
    for name in ("posterior", "sample_stats", "observed_data"):
        assert group(first, name).drop_attrs().identical(group(second, name).drop_attrs())


def test_saved_again_it_is_the_same_file():
    assert small().to_bytes() == again(small()).to_bytes()


def test_what_was_bound_last_is_saved():
    bound = zoo.compiled("regression").with_data(
        x=np.ones((4, 2)), group_of_row=[0, 2, 1, 1], y_data=np.arange(4.0), coords={"row": list("wxyz")}
    )
    loaded = again(bound)
    assert facts(loaded) == facts(bound)
    assert list(loaded.coords["row"]) == list("wxyz")
    assert facts(again(loaded)) == facts(bound)


LABELS = {
    "texts": ["a", "ü", ""],
    "numbers": [3, 1, 2],
    "fractions": [0.5, -1.0, np.inf],
    "truths": [True, False, True],
    "dates": [datetime.date(2026, 1, day) for day in (1, 2, 3)],
    "times": pd.date_range("2026-01-01", periods=3, freq="h"),
    "pairs": [("north", 1), ("north", 2), ("south", 1)],
    "mixed": ["a", 1, None],
    "spans": pd.to_timedelta([1, 2, 3], unit="D"),
}


def test_labels_of_all_kinds_come_back():
    with pm.Model() as model:
        for dim, labels in LABELS.items():
            model.add_coord(dim, labels)
            pm.Normal(f"of_{dim}", 0.0, 1.0, dims=dim)
        model.add_coord("unlabelled", length=2)
        pm.Normal("of_unlabelled", 0.0, 1.0, dims="unlabelled")
    compiled = compile_model(model)
    before, after = groups(compiled)["posterior"], groups(again(compiled))["posterior"]
    assert set(before.coords) >= set(LABELS)
    for name, labels in before.coords.items():
        assert after.coords[name].dtype == labels.dtype
    assert before.drop_attrs().identical(after.drop_attrs())


def test_the_file_says_what_it_is(path):
    small().save(path)
    assert path.read_bytes().startswith(b"nutmill model 1\n")
    assert path.read_bytes() == content()
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_group_may_not_write_it(path):
    """Whatever the umask: it may run whatever it writes."""
    before = os.umask(0o002)
    try:
        small().save(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    load(path, strict=True)


def test_without_data_their_values_are_in_no_part():
    secret = 123456.789
    with pm.Model(coords={"row": [0, 1, 2]}) as model:
        x = pm.Data("x", np.full(3, secret), dims="row")
        mu = pm.Normal("mu", x.mean(), 1.0)
        pm.Normal("y", mu + x, 1.0, observed=np.full(3, secret / 2), dims="row")
    compiled = compile_model(model)
    for value in (secret, secret / 2):
        raw = np.float64(value).tobytes()
        assert raw in compiled.to_bytes() and raw not in compiled.to_bytes(data=False)


@pytest.mark.skipif(int(pm.__version__.split(".")[0]) >= 6, reason="PyMC 6 refuses such names itself")
def test_data_with_the_name_of_a_dimension():
    """They are data: not in the file, and replaced by their name, where the length of the dimension follows."""
    with pm.Model(coords={"row": [0, 1, 2], "k": [0, 1, 2]}) as model:
        x = pm.Data("row", np.array([1.0, 2.0, 3.0]), dims="k")
        mu = pm.Normal("mu", 0.0, 1.0, dims="row")
        pm.Normal("y", mu + x, 1.0, observed=np.zeros(3), dims="row")
    compiled = compile_model(model)
    loaded = again(compiled, data=False)
    with refused("give them by with_data \\(row, y\\)"):
        sample_numba(loaded)
    new = {"row": np.arange(4.0), "y": np.ones(4), "coords": {"row": range(4), "k": range(4)}}
    assert loaded.with_data(**new).n_dim == 4
    assert facts(loaded.with_data(**new)) == facts(compiled.with_data(**new))


def test_a_file_without_data_takes_them():
    compiled = zoo.compiled("regression")
    loaded = again(compiled, data=False)
    named = {array.name: array.value for array in compiled.description.arrays if array.name}
    arrays = {name: named[name] for name in ("x", "group_of_row", "y_data")}
    with refused(r"saved without its data: give them by with_data \(group_of_row, x, y_data\)"):
        sample_numba(loaded)
    with refused("saved without its data: pass group_of_row, y_data too"):
        loaded.with_data(x=arrays["x"])
    with refused("still has none: copy its file"):
        loaded.to_bytes()
    assert facts(loaded.with_data(**arrays)) == facts(compiled)
    shorter = {name: array[:4] for name, array in arrays.items()}
    assert facts(loaded.with_data(**shorter)) == facts(compiled.with_data(**shorter))
