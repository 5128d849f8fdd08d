"""Data sets as users give them: streams, tables, Datasets; and every way in which they may be wrong."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from many_models import effects, line, points, schools

from nutmill import ArgumentError, ModelError, sample_many
from nutmill.many.room_for_rows import RoomForRows

FAST = {"draws": 8, "tune": 10, "random_seed": 1, "progressbar": False}


def keys(result):
    return result["fits"]["dataset"].values.tolist()


def same(one, other):
    return (
        one["summary"].to_dataset().drop_vars("dataset").identical(other["summary"].to_dataset().drop_vars("dataset"))
    )


def table():
    frames = [pd.DataFrame({"shop": name, **data}) for name, data in zip("cab", points(4, 3, 5), strict=True)]
    return pd.concat(frames).sample(frac=1.0, random_state=1)


def test_tables_are_grouped():
    frame = table()
    by_hand = {
        key: {"x": part["x"].to_numpy(), "y_data": part["y_data"].to_numpy()} for key, part in frame.groupby("shop")
    }
    grouped = sample_many(line(), frame, by="shop", **FAST)
    assert keys(grouped) == ["a", "b", "c"]
    assert same(grouped, sample_many(line(), by_hand, **FAST))
    assert same(grouped, sample_many(line(), list(by_hand.values()), **FAST))
    assert same(grouped, sample_many(line(), iter(by_hand.items()), **FAST))


def test_datasets_go_along_a_dimension():
    data = effects(3)
    stacked = xr.Dataset(
        {
            "effect": (("school", "year"), np.stack([each["effect"] for each in data], axis=1)),
            "error": ("school", data[0]["error"]),
        },
        coords={"year": [2001, 2002, 2003]},
    )
    along = sample_many(schools(), stacked, by="year", **FAST)
    assert keys(along) == [2001, 2002, 2003]
    assert same(along, sample_many(schools(), [{**each, "error": data[0]["error"]} for each in data], **FAST))


WRONG = {
    "no-sets": ([], {}, "no data sets"),
    "no-mapping": ([3], {}, "must be a mapping"),
    "text": ("abc", {}, "datasets must be an iterable"),
    "number": (3, {}, "datasets must be an iterable"),
    "one-alone": (points(3)[0], {}, "'x' must be a mapping .*, not ndarray; one data set alone goes into a list"),
    "tables": ([table()], {}, "Data set 0 is a table: pass one table of all, and by="),
    "key": ([(["a"], points(3)[0])], {}, r"Data set 0 has the key \['a'\]: take a text"),
    "same-key": ([("a", points(3)[0]), ("a", points(3)[0])], {}, "Two data sets are called 'a'"),
    "unknown-name": ([{"z": [1.0]}], {"on_error": "raise"}, "no data called z"),
    "no-by": (table(), {}, "by= must say"),
    "other-by": (table(), {"by": "town"}, "no column town"),
    "several-by": (table(), {"by": ["shop"]}, "by= must say"),
    "same-columns": (
        pd.concat([table(), table()["x"]], axis=1),
        {"by": "shop"},
        "Two columns of the table are called x",
    ),
    "no-columns": (table()[["shop"]], {"by": "shop"}, "no columns of data beside shop"),
    "no-rows": (table().iloc[:0], {"by": "shop"}, "no data sets"),
    "no-variables": (xr.Dataset(coords={"year": [2001, 2002]}), {"by": "year"}, "The Dataset has no variables"),
    "numbered-columns": (table().rename(columns={"x": 0}), {"by": "shop"}, "no data called 0"),
    "ranks": (
        points(3, 3),
        {"keep": lambda fit: {"value": np.zeros((1,) * fit.number)}},
        "value has 1 for data set 1, and 0 for those before",
    ),
    "by-of-a-list": (points(3), {"by": "shop"}, "by names a column"),
    "missing-key": (
        table().assign(shop=[None, *"aabbccabccab"[:11]]),
        {"by": "shop"},
        "Column shop has no value in row 0",
    ),
    "keep": (points(3), {"keep": "all"}, "keep must be"),
    "on-error": (points(3), {"on_error": "ignore"}, "on_error must be"),
    "draws": (points(3), {"draws": 0}, "draws must be"),
}


@pytest.mark.parametrize(("given", "options", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(given, options, said):
    with pytest.raises((ModelError, ArgumentError), match=said):
        sample_many(line(), given, **{**FAST, **options})


def test_names_of_the_first_are_wrong_at_once():
    with pytest.raises(ModelError, match="no data called wrong"):
        sample_many(line(), ({"wrong": [1.0]} for _ in range(3)), **FAST)


def test_a_stream_that_raises_names_its_place():
    def broken():
        yield from points(3, 4)
        raise OSError("the disk is gone")

    with pytest.raises(ModelError, match="ended after 2 of them with an error: OSError: the disk is gone") as raised:
        sample_many(line(), broken(), **FAST)
    assert isinstance(raised.value.__cause__, OSError)


BAD = {
    "name-missing": ({"x": [0.0, 1.0, 2.0]}, "lacks y_data"),
    "name-more": ({**points(3)[0], "z": [1.0]}, "has z"),
    "rank": ({"x": [0.0], "y_data": [[1.0]]}, "y_data has rank 1; the new array has rank 2"),
    "dtype": ({"x": [0.0], "y_data": ["one"]}, "y_data"),
    "ragged": ({"x": [[0.0], [1.0, 2.0]], "y_data": [1.0]}, "x is no array: its rows have different lengths"),
    "lengths": ({"x": [0.0, 1.0], "y_data": [1.0]}, "cannot be evaluated with these data"),
    "nan": ({"x": [0.0, 1.0], "y_data": [1.0, np.nan]}, "NaN, first at \\(1,\\)"),
    "empty": ({"x": [], "y_data": np.zeros(0)}, "no observations: y_data is empty"),
    "infinite": ({"x": [np.inf, 1.0], "y_data": [1.0, 1.0]}, "x is Inf at \\(0,\\)"),
}


@pytest.mark.parametrize(("data", "said"), BAD.values(), ids=BAD)
def test_a_bad_data_set_is_a_flagged_row(data, said):
    good = points(3, 3)
    result = sample_many(line(), [good[0], data, good[1]], **FAST)
    assert result["fits"]["failed"].values.tolist() == [False, True, False]
    assert np.isnan(result["summary"]["slope"].values[1]).all()
    with pytest.raises(ModelError, match=said):
        raise ModelError(str(result["fits"]["problem"].values[1]))
    without = sample_many(line(), [good[0], good[0], good[1]], **FAST)
    for number in (0, 2):  # the others are as they would have been
        np.testing.assert_array_equal(result["summary"]["slope"][number], without["summary"]["slope"][number])
    with pytest.raises(ModelError, match=f"Data set 1: .*{said}"):
        sample_many(line(), [good[0], data, good[1]], **FAST, on_error="raise")


def test_a_category_without_rows_is_a_flagged_row():
    frame = table().assign(shop=lambda frame: pd.Categorical(frame["shop"], categories=list("abcd")))
    result = sample_many(line(), frame, by="shop", **FAST)
    assert keys(result) == ["a", "b", "c", "d"]
    assert result["fits"]["failed"].values.tolist() == [False, False, False, True]
    assert "no observations" in str(result["fits"]["problem"].values[3])


@pytest.mark.parametrize("n_all", [1000, None], ids=["known", "stream"])
def test_more_than_memory_is_refused(n_all):
    row = {"posterior": {"x": np.zeros(1250)}}  # 10 kB, and a fifth of it while arrays grow
    enough, too_little = (RoomForRows(memory, n_all) for memory in (13_000_000, 11_000_000))
    for _ in range(n_all or 1000):
        enough.take(row)
    with pytest.raises(ModelError, match=r"needs about 0\.01[12]\d* GB, and this process may use 0\.011 GB"):
        for _ in range(1 if n_all else 1000):
            too_little.take(row)


def test_fits_are_counted_at_the_end(caplog):
    sample_many(line(), [*points(3, 3), {"x": [], "y_data": np.zeros(0)}], **FAST)
    assert any("1 of 3 fits failed" in record.message for record in caplog.records)
