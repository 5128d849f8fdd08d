"""Rows that go to a Zarr folder: those of memory, readable from the first on, begun anew until they are whole."""

import numpy as np
import pytest
import xarray as xr
from many_models import effects, line, points, schools

from nutmill import ArgumentError, ModelError, sample_many
from nutmill.many import zarr_rows

FAST = {"draws": 8, "tune": 10, "random_seed": 1, "progressbar": False}


def stored(path):
    return xr.open_datatree(path, engine="zarr", consolidated=False)


def told(tree):
    """Give the attributes that a result in memory has, too."""
    return {name: value for name, value in tree.attrs.items() if name not in (zarr_rows.CALL, zarr_rows.DATA_SETS)}


def assert_same(tree, other):
    assert set(tree.children) == set(other.children)
    assert told(tree) == told(other)
    for group in other.children:
        found, expected = tree[group].to_dataset(), other[group].to_dataset()
        assert set(found.variables) == set(expected.variables), group
        for name, variable in expected.variables.items():
            assert found[name].dims == variable.dims
            values = found[name].values
            if variable.dtype.kind == "U":
                assert values.tolist() == variable.values.tolist()
            else:
                assert values.dtype == variable.dtype
                np.testing.assert_array_equal(values, variable.values, err_msg=name)


def kept(fit):
    return {"longest": fit.draws["fitted"].max(axis=(0, 1)), "is_up": (fit.draws["slope"] > 0).mean() > 0.5}


def of_all_lengths():
    """Data sets of several lengths, of which the first, one between and the last cannot be fitted."""
    bad = {"x": np.ones(2), "y_data": np.full(2, np.nan)}
    return dict(zip("abcdefgh", [bad, *points(3, 5), bad, *points(2, 7, 4), bad], strict=True))


@pytest.mark.parametrize("every", [1e-9, 60.0], ids=["one-by-one", "at-once"])
@pytest.mark.parametrize("keep", ["summary", "draws", kept], ids=["summary", "draws", "function"])
def test_what_is_stored_is_what_memory_holds(tmp_path, keep, every):
    options = {**FAST, "keep": keep}
    made = sample_many(line(), of_all_lengths(), to=tmp_path / "fits.zarr", every=every, **options)
    expected = sample_many(line(), of_all_lengths(), **options)
    assert_same(made, expected)
    assert_same(stored(tmp_path / "fits.zarr"), expected)


def test_labels_are_those_of_the_model(tmp_path):
    made = sample_many(schools(), effects(3), to=tmp_path / "fits.zarr", **FAST)
    assert_same(made, sample_many(schools(), effects(3), **FAST))
    assert made["summary"]["school"].values.tolist() == list("ABCDE")


def test_little_waits_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(zarr_rows, "_MOST_BYTES", 1)
    seen = []

    def stream():
        for data in points(3, 4, 2, 5):
            yield data
            if (tmp_path / "fits.zarr" / "fits").exists():
                seen.append(stored(tmp_path / "fits.zarr")["fits"].sizes["dataset"])

    made = sample_many(line(), stream(), to=tmp_path / "fits.zarr", cores=1, **FAST)
    assert_same(made, sample_many(line(), points(3, 4, 2, 5), **FAST))
    assert seen


def broken(after):
    yield from points(3, 5, 2, 4)[:after]
    raise OSError("gone")


def test_what_was_made_before_an_end_can_be_read_and_begun_anew(tmp_path):
    path, whole = tmp_path / "fits.zarr", sample_many(line(), points(3, 5, 2, 4), **FAST)
    with pytest.raises(ModelError, match="ended after 2 of them"):
        sample_many(line(), broken(2), to=path, **FAST)
    left = stored(path)
    assert left.attrs["unfinished"]
    np.testing.assert_array_equal(left["summary"]["slope"], whole["summary"]["slope"][:2])
    assert_same(sample_many(line(), points(3, 5, 2, 4), to=path, **FAST), whole)
    made = path.stat().st_ino
    assert_same(sample_many(line(), points(3, 5, 2, 4), to=path, **FAST), whole)
    assert path.stat().st_ino == made, "the finished folder was replaced"


OTHERS = {
    "random_seed": ({"random_seed": 5}, points(3, 4)),
    "draws": ({"draws": FAST["draws"] + 1}, points(3, 4)),
    "data sets": ({}, points(3, 5)),
    "data set that differs": ({}, points(4, 3)),
}


def test_a_finished_folder_is_given_to_the_same_call_alone(tmp_path):
    path = tmp_path / "fits.zarr"
    made = sample_many(line(), points(3, 4), to=path, **FAST)
    for differs, (change, sets) in OTHERS.items():
        with pytest.raises(ModelError, match=f"holds a finished result, of .*{differs}, which is not replaced: name"):
            sample_many(line(), sets, to=path, **{**FAST, **change})
    with pytest.raises(ModelError, match="holds a finished result, which is not replaced: name another, or remove it"):
        sample_many(line(), points(3, 4), to=path, **{**FAST, "keep": kept})
    assert_same(stored(path), made)


def test_a_checkpoint_goes_on_there(tmp_path):
    options = {**FAST, "to": tmp_path / "fits.zarr", "checkpoint": tmp_path / "rows", "every": 1e-9}
    with pytest.raises(ModelError, match="ended after 3 of them"):
        sample_many(line(), broken(3), **options)
    made = sample_many(line(), points(3, 5, 2, 4), **options)
    assert_same(made, sample_many(line(), points(3, 5, 2, 4), **FAST))


WRONG = {
    "no-path": (3, ArgumentError, "to must be the path of a folder"),
    "netcdf": ("fits.nc", ModelError, "to= names a folder .zarr"),
    "nowhere": ("nowhere/fits.zarr", ModelError, "there is no folder"),
    "others": ("other.zarr", ModelError, "what is there is no result"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_where_rows_cannot_go(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.zarr").mkdir()
    given, kind, said = WRONG[wrong]
    with pytest.raises(kind, match=said):
        sample_many(line(), points(3), to=given, **FAST)


def test_types_that_change_are_refused(tmp_path):
    def changing(fit):
        return {"x": 1 if fit.number == 0 else 0.5}

    with pytest.raises(ModelError, match="x is of int64 in the first fits, and of float64 in one of those from 1 on"):
        sample_many(line(), points(3, 4), keep=changing, to=tmp_path / "fits.zarr", every=1e-9, **FAST)
