"""Fingerprints of data in results: whether a model holds the data that draws are of."""

import json

import numpy as np
import pymc as pm
import pytest
import xarray as xr
import zoo
from artifacts import again

from nutmill import ModelError, check_data, compile_model, sample_numba
from nutmill.results.fingerprints import FINGERPRINTS, fingerprints

QUICK = {"draws": 4, "tune": 20, "chains": 1, "progressbar": False, "compute_convergence_checks": False}
NEW = {"x": np.ones((3, 2)), "group_of_row": np.array([0, 1, 2]), "y_data": np.array([0.5, 1.0, 2.0])}


@pytest.fixture(scope="module")
def result():
    return sample_numba(zoo.compiled("regression").with_data(**NEW), **QUICK)


def test_a_model_that_was_told_of_the_data(result, tmp_path):
    model = zoo.regression()
    with pytest.raises(ModelError, match=r"other data than the draws are of: (\w+, ){2}\w+\. Give it the same"):
        check_data(result, model)
    with model:
        pm.set_data({"x": NEW["x"], "y_data": NEW["y_data"]}, coords={"row": range(3)})
        with pytest.raises(ModelError, match=r"draws are of: group_of_row\."):
            check_data(result, model)
        pm.set_data({"group_of_row": NEW["group_of_row"]})
    check_data(result, model)
    result.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "result.nc", engine="h5netcdf") as stored:
        check_data(stored, model)


def test_compiled_models(result):
    with pytest.raises(ModelError, match="holds other data than the draws are of"):
        check_data(result, zoo.compiled("regression"))
    check_data(result, zoo.compiled("regression").with_data(**NEW))
    check_data(result, again(zoo.compiled("regression").with_data(**NEW)))


def test_observations_that_are_no_pm_data():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("x"), 1.0, observed=[0.5, 1.5])
    compiled = compile_model(model)
    check_data(sample_numba(compiled, **QUICK), model)
    with pytest.raises(ModelError, match="draws are of: y"):
        check_data(sample_numba(compiled.with_data(y=[0.5, 2.5]), **QUICK), model)


def test_fingerprints_are_those_of_other_processes_and_versions(result):
    """Written down here, so that both lines of the ecosystem are compared with the same."""
    expected = {"x": "33b2e90e7d4ee2d6", "group_of_row": "038312408febdd74", "y_data": "023184ef595b1f41"}
    assert json.loads(result.attrs[FINGERPRINTS]) == expected
    assert fingerprints(zoo.compiled("regression").with_data(**NEW)) == expected


def test_results_of_others():
    with pytest.raises(ModelError, match="no fingerprints of its data"):
        check_data(xr.DataTree(), zoo.regression())
