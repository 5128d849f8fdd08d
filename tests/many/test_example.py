"""The example of the guide: as many fits as counties, and a picture."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import nutmill

PLACE = Path(__file__).parents[2] / "docs" / "many_counties.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("many_counties", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_counties_are_fitted_and_drawn(example, tmp_path):
    table, model = example.houses(), example.county_line()
    fits = nutmill.sample_many(model, table, by="county", draws=60, random_seed=1, progressbar=False)
    sizes = table.groupby("county").size()
    assert fits["fits"]["dataset"].values.tolist() == sizes.index.tolist()
    assert not fits["fits"]["failed"].values.any()
    # A county with many houses is known better; and its level is that of its basements, but for what priors add.
    sd = fits["summary"]["level"].sel(statistic="sd").values
    assert np.corrcoef(np.log(sizes), np.log(sd))[0, 1] < -0.8
    largest = table[(table["county"] == sizes.idxmax()) & (table["is_first_floor"] == 0)]["log_radon"]
    found = fits["summary"]["level"].sel(dataset=sizes.idxmax())
    assert abs(found.sel(statistic="mean") - largest.mean()) < 5 * largest.std() / np.sqrt(len(largest))
    calibration = nutmill.sbc(model, n=40, draws=60, random_seed=1, progressbar=False)
    example.draw_picture(table, fits, calibration, tmp_path / "many.png")
    assert (tmp_path / "many.png").stat().st_size > 10_000
