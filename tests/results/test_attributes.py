"""What a result says of its run, as plain values: from memory, from a file, of a group, of something else."""

import arviz as az
import numpy as np
import pytest
import xarray as xr
from many_models import effects, line, schools

from nutmill import ArgumentError, attributes_of, sample, sample_many

QUIET = {"random_seed": 1, "progressbar": False}


@pytest.fixture(scope="module")
def result():
    return sample(line(), draws=5, tune=5, compute_convergence_checks=False, **QUIET)


def test_what_has_parts_has_them_again(result, tmp_path):
    found = attributes_of(result)
    assert found["cpu_layout"]["requested"]["blas_threads"] == 1
    assert found["sampling_seconds"]["warmup_wall"] >= 0
    assert found["inference_library_settings"]["draws"] == 5
    assert found["tuning_steps"] == 5
    assert found["seed"] == "1"
    result.to_netcdf(str(tmp_path / "stored.nc"))
    stored = az.from_netcdf(str(tmp_path / "stored.nc"))
    assert attributes_of(stored) == found


def test_many_fits_have_some_too():
    assert attributes_of(sample_many(schools(), effects(2), draws=5, **QUIET))["draws"] == 5


def test_texts_that_only_begin_like_json_stay():
    tree = xr.DataTree()
    tree.attrs = {"a": "[not json", "b": '{"x": [1, 2]}', "c": np.int64(3), "d": "plain"}
    assert attributes_of(tree) == {"a": "[not json", "b": {"x": [1, 2]}, "c": 3, "d": "plain"}


def test_what_is_no_result():
    with pytest.raises(ArgumentError, match=r"A result is an xarray.DataTree .*, not dict"):
        attributes_of({})
