"""Runs the examples of the guide: those of a page are one session, which begins with a small compiled model."""

import json
import re
from pathlib import Path

import numpy as np
import pymc as pm
import pytest
from assertions import assert_mean_and_variance

import nutmill
from nutmill.results.trace import group

GUIDE = Path(__file__).parents[1] / "docs" / "guide"


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Names that the pages take for granted, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    with pm.Model() as model:
        pm.Normal("a", shape=2)
    return {"pm": pm, "nutmill": nutmill, "model": model, "compiled": nutmill.compile_model(model)}


def run(page, names):
    for example in re.findall(r"^```python\n(.*?)^```", (GUIDE / page).read_text(), flags=re.MULTILINE | re.DOTALL):
        exec(compile(example, page, "exec"), names)
    return names


def test_examples_of_saved_models_and_other_data(session):
    names = run("saved-models.md", session)
    x, y = np.arange(5.0), np.array([0.2, 0.9, 2.2, 2.8, 4.1])
    precision = 1 + x @ x
    of_five = group(names["longer_result"], "posterior")["slope"].values
    assert_mean_and_variance(of_five, x @ y / precision, 1 / precision)
    assert group(names["predicted"], "posterior_predictive")["y"].shape == (4, 1000, 5)
    again = nutmill.sample(names["compiled"], draws=500, random_seed=2, progressbar=False)
    assert np.array_equal(group(names["result"], "posterior")["slope"], group(again, "posterior")["slope"])


def test_examples_of_layouts(session, monkeypatch, tmp_path):
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(tmp_path))
    names = run("layouts.md", session)
    assert json.loads(names["slower"].attrs["cpu_layout"])["requested"]["blas_threads"] == 2
