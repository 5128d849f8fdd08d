"""Tables, sentences and the page of a comparison."""

import json
import re
from xml.etree import ElementTree

import pytest
from comparison.rows import row, spent

from nutmill.cli import compare
from nutmill.comparison.comparison import Comparison
from nutmill.comparison.page import Bar, bars
from nutmill.comparison.rounds import ComparisonSettings
from nutmill.comparison.summary import summarize
from nutmill.comparison.tables import number, sentences_of

NAMES = ("nutmill", "numpyro", "pymc-c")


@pytest.fixture
def comparison():
    """A good sampler, one that disagrees and tells no gradients of its warmup, one that failed, one not installed."""
    rows = [
        row("nutmill"),
        row("nutmill", 1),
        row("numpyro", warmup_gradients=None, means={"a<b>": [0.0, 1.0], "mu": [2.0, 0.04]}),
        row("pymc-c", failure="killed by signal 9 (SIGKILL)"),
    ]
    machine = {"cpu": "A & B", "usable_cores": 2, "python": "3.13", "packages": {"nutmill": "0.1"}}
    settings = ComparisonSettings(NAMES, 1000, 4, 2, 2, 1, 600.0)
    missing = {"blackjax": ("jax", "blackjax")}
    return Comparison("<model>", "2026-11-25", settings, machine, rows, summarize(rows, NAMES), missing, ["A note."])


def test_sentences_say_who_was_first_and_what_disagrees(comparison):
    said = comparison.sentences
    assert said[0].startswith("nutmill has 400 effective draws of every parameter of a new model first, 12.7 s")
    assert said[1].startswith("numpyro and nutmill disagree on the mean of mu by 20.0 standard errors")
    assert said[2:] == [
        "A note.",
        "pymc-c gave up: killed by signal 9 (SIGKILL)",
        "blackjax is not installed: pip install jax 'blackjax<1.6'",
        "nutmill's effective draws per CPU second of sampling are 1 times those of numpyro.",
    ]


def test_the_last_sentence_has_what_draws_cost():
    rows = [row("nutpie", sampled=spent(10.0, 42.0)), row("nutmill"), row("pymc-c", sampled=spent(10.0, 5.0))]
    rows.append(row("numpyro", failure="no"))
    said = sentences_of(summarize(rows, [each["sampler"] for each in rows]), [], {})
    assert said[-1] == (
        "nutmill's effective draws per CPU second of sampling are 0.25 times those of pymc-c, "
        "2.1 times those of nutpie."
    )
    assert "CPU second" not in str(sentences_of(summarize(rows[:1], ["nutpie"]), [], {}))
    assert "CPU second" not in str(sentences_of(summarize(rows[1:2], ["nutmill"]), [], {}))


def test_tables_fit_80_columns(comparison, capsys, monkeypatch):
    """No word is cut; a row may take two lines where names are long."""
    monkeypatch.setenv("COLUMNS", "80")
    compare._print(comparison)
    shown = capsys.readouterr().out
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 80
    words = {word for table in comparison.tables for head in table.heads for word in head.split()}
    assert words <= set(shown.split())


def test_tables_hold_who_has_draws(comparison):
    for table in comparison.tables:
        assert [line[0] for line in table.rows] == ["nutmill", "numpyro"]
        assert all(len(line) == len(table.heads) for line in table.rows)
    draws = comparison.tables[1]
    assert draws.rows[1][draws.heads.index("bulk ESS per 1000 gradients")] == "-"
    assert comparison.tables[2].rows[0][-1] == "is the reference"
    text = str(comparison)
    assert "nutmill" in text and "SIGKILL" in text


def test_numbers_have_three_digits():
    assert [number(x) for x in (float("nan"), 1e-5, 0.012345, 999.4, 12345.6)] == ["-", "0", "0.0123", "999", "12346"]


def test_the_page_stands_alone(comparison, tmp_path):
    comparison.to_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert not re.search(r"https?:|src=|href=|@import|url\(", text)
    assert "<model>" not in text and "&lt;model&gt;" in text and "A &amp; B" in text
    ElementTree.fromstring(re.sub(r"<!doctype html>|<meta[^>]*>", "", text))  # every element is closed


def test_json_has_null_for_what_is_not_known(comparison):
    document = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    first, second, failed = document["summaries"]
    assert first["agreement"] is None and second["agreement"]["label"] == "mu"
    assert second["gradients"] is None and failed["ess_bulk_min"] is None
    assert document["settings"]["samplers"] == list(NAMES)
    assert document["missing"] == {"blackjax": ["jax", "blackjax"]}


def test_bars_are_as_long_as_their_numbers():
    drawn = bars([Bar("slow", (("a", 3.0), ("b", 1.0))), Bar("fast", (("a", 1.0), ("b", 1.0)))])
    widths = [float(width) for width in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="18"', drawn)]
    assert [width / widths[0] for width in widths] == pytest.approx([1.0, 1.0, 3.0, 1.0], abs=0.01)
    assert drawn.index("fast") < drawn.index("slow")
    best = bars(
        [Bar("low", (("a", 1.0),)), Bar("high", (("a", 2.0),)), Bar("none", (("a", float("nan")),))], most_is_best=True
    )
    assert best.index("high") < best.index("low") and "none" not in best
    assert bars([]) == "<p>Not measured.</p>"
