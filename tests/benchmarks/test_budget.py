"""What fits into the minutes that a run of the suite has, and what is said of the rest."""

import json

import pytest
from suite_rows import failed, row

from benchmarks.budget import Budget, expected, known_times, seconds_of
from benchmarks.caches import INSTALLED
from benchmarks.comparison import select
from benchmarks.figures import ess_per_kilogradient
from benchmarks.plan import Cell, Settings, cells, left
from benchmarks.tables import skipped_of

BOTH = ("nutmill", "nutpie")
PLANNED = [Cell(model, sampler, 1, INSTALLED) for model in ("easy", "hard") for sampler in (*BOTH, "numpyro", "pymc")]
TIMES = {(cell.model, cell.sampler, INSTALLED): 100.0 for cell in PLANNED} | {("hard", "numpyro", INSTALLED): 20.0}


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes when it is told to."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def run_all(budget, clock, seconds):
    """Ask for all cells in their order; each that is run takes so many times as long as in earlier runs."""
    done = []
    for cell in PLANNED:
        if budget.limit_of(cell) is not None:
            took = seconds * TIMES[cell.model, cell.sampler, INSTALLED]
            clock[0] += took
            budget.note(cell, took)
            done.append(f"{cell.model} {cell.sampler}")
    return done


ESSENTIAL = ["easy nutmill", "easy nutpie", "hard nutmill", "hard nutpie"]


@pytest.mark.parametrize(
    ("seconds", "further"),
    [(400.0, []), (480.0, ["hard numpyro"]), (5000.0, ["easy numpyro", "easy pymc", "hard numpyro", "hard pymc"])],
)
def test_the_quickest_cells_of_peers_fill_the_time(seconds, further, clock):
    done = run_all(Budget(PLANNED, TIMES, seconds, 300.0), clock, 1.0)
    assert sorted(done) == sorted([*ESSENTIAL, *further])


def test_peers_are_left_out_when_all_is_slower_than_it_was(clock):
    """Twice as slow: what was planned for 480 seconds would take 840."""
    assert run_all(Budget(PLANNED, TIMES, 480.0, 300.0), clock, 2.0) == ESSENTIAL[:3]
    assert clock[0] < 1000.0 + 2.0 * 480.0


def test_no_cell_may_take_longer_than_is_left(clock):
    budget = Budget(PLANNED, TIMES, 250.0, 300.0)
    assert budget.limit_of(PLANNED[0]) == 250.0
    clock[0] += 245.0
    assert budget.limit_of(PLANNED[1]) is None


def test_times_are_those_of_the_newest_run_of_a_like_sampler_or_of_others(tmp_path):
    before, after = row("nutpie", 9.0, caches=INSTALLED), row("nutpie", 9.0, caches=INSTALLED) | {"seconds": 50.0}
    late = {**failed("pymc", "easy", "no"), "caches": INSTALLED}
    for day, rows in ((1, [before, late]), (2, [after, {**PLANNED[0]._asdict(), "skipped": "no time"}])):
        (tmp_path / f"suite-{day}.json").write_text(json.dumps({"rows": rows, "settings": {"limit_s": 300.0}}))
    times = known_times(tmp_path)
    assert times == {("easy", "nutpie", INSTALLED): 50.0, ("easy", "pymc", INSTALLED): 300.0}
    assert seconds_of(before, 300.0) == pytest.approx(1.0 + 3.0 + 2.0)
    assert expected(Cell("easy", "nutpie-low-rank", 1, INSTALLED), times) == pytest.approx(65.0)
    assert expected(Cell("easy", "nutmill", 1, INSTALLED), times) == pytest.approx(175.0)
    assert expected(Cell("hard", "nutmill", 1, INSTALLED), times) == 60.0


def test_what_there_was_no_time_for_is_named_and_not_taken_up_again():
    settings = Settings(("kidiq",), BOTH, (INSTALLED,), 1, 10, 4, 2, 5.0)
    rows = [cell._asdict() | {"skipped": "no time was left of 1 minutes"} for cell in cells(settings)]
    assert left(settings, rows) == []
    assert skipped_of(rows) == (
        "Not run, as no time was left of 1 minutes: nutmill (installed) on kidiq; nutpie (installed) on kidiq."
    )
    assert skipped_of([row("nutmill", 1.0)]) == ""
    assert select(rows, ess_per_kilogradient, model="kidiq") == []
