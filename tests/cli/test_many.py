"""`nutmill many`: a table in, a row for each data set out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from many_models import points
from typer.testing import CliRunner

import nutmill
from nutmill.cli.app import app

MODEL = """
import pymc as pm
with pm.Model() as model:
    x = pm.Data("x", [0.0, 1.0, 2.0], dims="point")
    slope = pm.Normal("slope")
    pm.Normal("y", slope * x, 1, observed=pm.Data("y_data", [0.1, 1.2, 1.9]), shape=x.shape)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a folder with the model and a table."""
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)
    frames = [pd.DataFrame({"shop": name, **data}) for name, data in zip("ba", points(4, 3), strict=True)]
    pd.concat(frames).to_csv("sales.csv", index=False)


def run(*arguments, code=0):
    options = ["--by", "shop", "--draws", "20", "--tune", "20", "--seed", "3"]
    result = CliRunner().invoke(app, ["many", "model.py:model", *map(str, arguments), *options])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_a_table_becomes_a_file_of_fits():
    document = json.loads(run("sales.csv", "--json", "--checkpoint", "folder").stdout)
    assert document["n_fits"] == 2
    assert document["n_failed"] == 0
    stored = xr.load_dataset("fits.nc", group="summary")
    again = nutmill.sample_many(
        nutmill.load(compiled()), pd.read_csv("sales.csv"), by="shop", draws=20, tune=20, random_seed=3
    )
    np.testing.assert_array_equal(stored["slope"], again["summary"]["slope"])
    assert stored["dataset"].values.tolist() == ["a", "b"]
    run("sales.csv", "--checkpoint", "folder", "--out", "again.zarr")  # of which all is there
    said = run("sales.csv", "--checkpoint", "folder", "--out", "again.zarr")
    assert "again.zarr is finished already" in said.stderr
    assert "2 fits, 0 failed" in said.stdout
    with pytest.raises(SystemExit):  # nobody has named the file, which may be the only copy
        app(["many", "model.py:model", "sales.csv", "--by", "shop"])


def compiled():
    """Save the model as a file."""
    assert CliRunner().invoke(app, ["compile", "model.py:model", "--out", "model.nut"]).exit_code == 0
    return "model.nut"


def test_columns_are_chosen():
    pd.read_csv("sales.csv").assign(weather="rain").to_csv("more.csv", index=False)
    with pytest.raises(AssertionError, match="no data called weather: choose columns by --columns x,y_data"):
        run("more.csv")
    assert "2 fits, 0 failed" in run("more.csv", "--columns", "x, y_data,", "--pilot", "1").stdout


def test_strict_tells_of_doubtful_fits():
    pd.read_csv("sales.csv").assign(y_data=[np.nan] + 6 * [1.0]).to_csv("gaps.csv", index=False)
    said = run("gaps.csv", "--strict", code=4).stdout
    assert "1 failed" in said
    assert "The first that failed is b: Observed data of y_data are NaN" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sales.csv", "--columns", "z"), "has no column z"),
        (("town.csv",), "has no column shop, which --by names"),
        (("broken.parquet",), "broken.parquet cannot be read"),
        (("model.py",), "A table is a file .csv, .parquet, .nc"),
    ],
)
def test_what_is_wrong_is_said(arguments, said):
    pd.read_csv("sales.csv").rename(columns={"shop": "town"}).to_csv("town.csv", index=False)
    Path("broken.parquet").write_bytes(b"nothing")
    with pytest.raises(AssertionError, match=said):
        run(*arguments)
