"""Runs the examples of the guide as a reader types them: those of a page one after the other, in an empty folder."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from assertions import assert_mean_and_variance

import nutmill
import nutmill.pymc
from nutmill.results.trace import group

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = DOCS / "guide"
PAGES = sorted(path.name for path in GUIDE.glob("*.md"))
# What a page needs that its reader is told to install.
NEEDED = {"batch.md": "distributed", "coming-from.md": "bambi"}


def examples(page):
    return re.findall(r"^```python\n(.*?)^```", (GUIDE / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def goes_on_from_start(page):
    """Whether the page says at its top that its model or result may be that of another page, Start."""
    return "](start.md)" in (GUIDE / page).read_text().split("\n## ")[0]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Give a function that runs the examples of a page and gives their names."""
    pytest.importorskip("matplotlib.pyplot").switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "docs").symlink_to(DOCS)  # pages that read data say that they are to be run in a clone

    nutmill.pymc.plug_in()  # as the first import does, whatever other tests have done since

    def run_page(page):
        names = {}
        for example in examples("start.md")[:1] * goes_on_from_start(page) + examples(page):
            exec(compile(example, page, "exec"), names)
        return names

    return run_page


def test_examples_of_saved_models_and_other_data(run):
    names = run("saved-models.md")
    x, y = np.arange(5.0), np.array([0.2, 0.9, 2.2, 2.8, 4.1])
    precision = 1 + x @ x
    of_five = group(names["longer_result"], "posterior")["slope"].values
    assert_mean_and_variance(of_five, x @ y / precision, 1 / precision)
    assert group(names["predicted"], "posterior_predictive")["y"].shape == (4, 1000, 5)
    again = nutmill.sample(names["compiled"], random_seed=2, progressbar=False)
    assert np.array_equal(group(names["result"], "posterior")["slope"], group(again, "posterior")["slope"])


def test_examples_of_layouts(run):
    names = run("layouts.md")
    assert json.loads(names["slower"].attrs["cpu_layout"])["requested"]["blas_threads"] == 2


def test_examples_of_start(run):
    names = run("start.md")
    assert group(names["result"], "posterior")["theta"].dims == ("chain", "draw", "school")
    assert Path("draws.nc").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES)
def test_examples_of_each_page_run_in_their_order(page, run):
    if page in NEEDED:
        pytest.importorskip(NEEDED[page])
    run(page)


def test_pages_that_take_the_model_of_another_say_so():
    assert goes_on_from_start("model-to-results.md")
    assert not goes_on_from_start("many.md")
