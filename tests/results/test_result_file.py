"""Results as files: they come back as they were, are replaced whole, and faults are one sentence."""

import gc
import resource

import numpy as np
import pytest
import xarray as xr
from diagnosis.test_diagnosis import good_posterior, good_stats

from nutmill import ModelError
from nutmill.results.storage import check_target, load, save
from nutmill.results.trace import Draws, ModelData, group, to_arviz

SHAPE = (2, 20)
KINDS = pytest.mark.parametrize("name", ["result.nc", "result.zarr"])


def made(seed=1):
    return to_arviz(Draws(good_posterior(SHAPE, seed), good_stats(SHAPE)), ModelData(), attrs={"/": {"seed": "7"}})


@KINDS
def test_it_comes_back(tmp_path, name):
    result = made()
    save(result, tmp_path / name)
    stored = load(tmp_path / name)
    assert stored.attrs["seed"] == "7"
    for kind in ("posterior", "sample_stats"):
        for variable, values in group(result, kind).data_vars.items():
            np.testing.assert_array_equal(stored[kind][variable].values, values.values)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@KINDS
def test_an_older_result_is_replaced(tmp_path, name):
    save(made(1), tmp_path / name)
    save(made(2), tmp_path / name)
    np.testing.assert_array_equal(load(tmp_path / name)["posterior"]["mu"].values, good_posterior(SHAPE, 2)["mu"])
    assert [path.name for path in tmp_path.iterdir()] == [name]


@KINDS
def test_what_breaks_leaves_the_older_result(tmp_path, name, monkeypatch):
    save(made(1), tmp_path / name)

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    monkeypatch.setattr(xr.DataTree, "to_zarr", fail)
    with pytest.raises(ModelError, match=r"No space left on device\.$"):
        save(made(2), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(load(tmp_path / name)["posterior"]["mu"].values, good_posterior(SHAPE, 1)["mu"])


@pytest.fixture
def small_files():
    """No file may have more than 100 kB, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@KINDS
def test_a_disk_without_room_is_one_sentence(tmp_path, name, small_files):
    """With a real disk that is full, h5netcdf ends the process when it collects what it could not write."""
    shape = (2, 5000)
    result = to_arviz(Draws(good_posterior(shape, 1), good_stats(shape)), ModelData())
    with pytest.raises(ModelError, match=rf"result {tmp_path / name} cannot be written: File too large\.$"):
        save(result, tmp_path / name)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("result.csv", "file .nc or a folder .zarr"),
        ("result", "file .nc or a folder .zarr"),
        ("none/result.nc", "no folder"),
        ("folder.nc", "is not replaced"),
        ("mine.zarr", "is not replaced"),
    ],
)
def test_a_place_that_will_not_do_is_refused(tmp_path, name, said):
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.tex").touch()
    with pytest.raises(ModelError, match=said):
        check_target(tmp_path / name)


def test_a_missing_engine_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("nutmill.results.storage.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install 'nutmill\\[storage\\]'"):
        check_target(tmp_path / "result.nc")


@KINDS
def test_what_is_no_result_is_refused(tmp_path, name):
    with pytest.raises(ModelError, match="there is no such"):
        load(tmp_path / name)
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": ("draw", np.zeros(3))})})
    if name.endswith(".nc"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n and then nothing")
        with pytest.raises(ModelError, match="damaged, or no nc"):
            load(tmp_path / name)
        tree.to_netcdf(tmp_path / name, engine="h5netcdf")
    else:
        (tmp_path / name).mkdir()
        with pytest.raises(ModelError, match="damaged, or no zarr"):
            load(tmp_path / name)
        tree.to_zarr(tmp_path / name, consolidated=False)
    with pytest.raises(ModelError, match="no groups posterior and sample_stats"):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["result.nc", "result.zarr"])
def test_a_name_that_files_do_not_know_is_one_sentence(tmp_path, name):
    """Of a variable; what is written at the end of a run must not fail in another way."""
    posterior = {".": good_posterior((4, 20))["mu"]}
    result = to_arviz(Draws(posterior, good_stats((4, 20))), ModelData())
    with pytest.raises(ModelError, match=f"^The result .*{name} cannot be written: .*[^.]\\.$"):
        save(result, tmp_path / name)
    assert not list(tmp_path.iterdir())
