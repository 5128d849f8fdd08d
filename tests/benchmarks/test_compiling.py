"""The benchmark of compiling: its plan, its medians and goals, its import clock, and real processes on a tiny model."""

import importlib
import math
import sys
import threading
import time

import pytest
from processes import environment

from benchmarks import report
from benchmarks.caches import INSTALLED, Caches
from benchmarks.compiling import tables
from benchmarks.compiling.command import main
from benchmarks.compiling.figures import Rows, goals
from benchmarks.compiling.plan import (
    ARTIFACT,
    COLD,
    FIRST_EVER,
    ISOLATED,
    NEW_DATA,
    OTHER_DATA,
    OTHER_SIZES,
    WARM,
    Bench,
    Settings,
    cells,
)
from benchmarks.goals import goals_section
from nutmill.comparison.resources import ImportClock, Spent, timed
from nutmill.comparison.rounds import run_module

SETTINGS = Settings(("eight_schools", "regression"), ("nutmill", "nutpie", "pymc"), 2, 30.0, 60.0)

# Takes some CPU time to import, and imports another that does.
BUSY = "import time\nend = time.process_time() + 0.05\nwhile time.process_time() < end: pass\n"


def row(sampler, cell, cpu, *, model="radon", peak=100.0, **more):
    """Return a row whose CPU seconds are `cpu` and whose wall seconds are twice that."""
    spent = {"wall": 2.0 * cpu, "cpu": cpu}
    measured = {"first_draw": spent, "imported": spent, "since_start": spent, "drawn": spent, "from_cache": None}
    measured |= {"peak_rss_mb": peak, "added_mb": peak - 60.0, "imported_compilers": []}
    return {"model": model, "sampler": sampler, "cell": cell, "round": 1, "measurement": measured | more}


def report_of(rows):
    return {"rows": rows, "settings": {"models": ["radon"], "samplers": ["nutmill", "nutpie"]}}


def verdicts(rows, models=("radon",)):
    return {goal.title: goal for goal in goals(Rows(rows), models)}


def test_every_model_is_cold_before_it_is_warm_and_every_sampler_has_run_before_either():
    planned = list(cells(SETTINGS))
    assert len(set(planned)) == len(planned)
    assert [cell.cell for cell in planned[:3]] == [FIRST_EVER] * 3
    for number in (1, 2):
        for model in SETTINGS.models:
            for sampler in SETTINGS.samplers:
                states = [cell.cell for cell in planned if cell[:2] == (model, sampler) and cell.round == number]
                assert states[: 2 + (model in OTHER_SIZES)] == [COLD, WARM, OTHER_DATA][: 2 + (model in OTHER_SIZES)]
                assert (ARTIFACT in states, ISOLATED in states) == (sampler == "nutmill",) * 2
                assert (NEW_DATA in states) == (model == "regression" and sampler != "pymc")


def test_samplers_take_turns_in_going_first():
    begin = [
        next(cell.sampler for cell in cells(SETTINGS) if (cell.model, cell.cell, cell.round) == (model, COLD, number))
        for number in (1, 2)
        for model in SETTINGS.models
    ]
    assert begin == ["nutpie", "pymc", "pymc", "nutmill"]


def test_what_was_slow_is_not_repeated_and_what_was_quick_is(monkeypatch, tmp_path):
    bench = Bench(
        SETTINGS._replace(models=("eight_schools",), samplers=("nutmill", "nutpie"), once_above_s=5.0), tmp_path
    )
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def run(cell):
        clock[0] += 9.0 if (cell.sampler, cell.cell) == ("nutpie", COLD) else 1.0
        return {"failure": "not run"}

    monkeypatch.setattr(bench, "_run", run)
    rows = [(row["sampler"], row["cell"], row["round"]) for row in bench.rows()]
    assert ("nutpie", COLD, 2) not in rows
    assert {("nutpie", COLD, 1), ("nutpie", WARM, 2), ("nutmill", COLD, 2)} <= set(rows)


def test_a_cold_cell_finds_nothing_that_an_earlier_one_has_compiled(tmp_path):
    caches = Caches(tmp_path)
    (caches.primed("nutmill") / "kernel").touch()
    (caches.folder("radon", "nutmill", INSTALLED) / "model").touch()
    assert {path.name for path in caches.left("radon", "nutmill").iterdir()} == {"kernel", "model"}
    assert {path.name for path in caches.folder("radon", "nutmill", INSTALLED).iterdir()} == {"kernel"}


def test_medians_are_over_rounds_and_ratios_over_medians():
    rows = Rows([row("nutmill", COLD, cpu) for cpu in (1.0, 9.0, 2.0)] + [row("nutpie", COLD, 8.0)])
    assert rows.median("first_draw.cpu", model="radon", sampler="nutmill", cell=COLD) == 2.0
    assert rows.times("first_draw.cpu", "radon", "nutpie", COLD) == 4.0


def test_the_geometric_mean_leaves_out_models_that_were_not_measured_for_both():
    rows = [row("nutmill", COLD, 1.0), row("nutpie", COLD, 4.0)]
    rows += [row("nutmill", COLD, 1.0, model="irt"), row("nutpie", COLD, 9.0, model="irt")]
    rows += [row("nutmill", COLD, 1.0, model="garch")]
    overall = Rows(rows).overall("first_draw.cpu", ("radon", "irt", "garch"), "nutpie", COLD)
    assert overall == pytest.approx(6.0, rel=1e-14)
    assert math.isnan(Rows(rows).overall("first_draw.cpu", ("garch",), "nutpie", COLD))


def test_goals_are_met_or_missed_by_the_worst_model():
    rows = [row("nutmill", WARM, 0.1), row("nutpie", WARM, 3.0)]
    assert all(goal.met for title, goal in verdicts(rows).items() if title.startswith("warm"))
    rows += [row("nutmill", WARM, 0.4, model="irt"), row("nutpie", WARM, 4.0, model="irt")]
    judged = verdicts(rows, ("radon", "irt"))
    slowest = judged["warm, CPU s, the slowest model"]
    assert (slowest.value, slowest.met) == (0.4, False)
    mean = judged["warm, nutpie's times ours, geometric mean"]
    assert (mean.value, mean.met) == (pytest.approx(math.sqrt(300.0), rel=1e-14), False)


def test_a_run_on_other_data_that_compiled_is_a_goal_missed():
    rows = [row("nutmill", OTHER_DATA, 0.1, from_cache=True)]
    title = "data of another size, runs that compiled"
    assert verdicts(rows)[title].met
    assert not verdicts([*rows, row("nutmill", NEW_DATA, 0.1, from_cache=False)])[title].met


def test_what_was_not_measured_is_no_goal_met():
    assert not any(goal.met for goal in goals(Rows([]), ("radon",)))
    assert "not measured" in goals_section(goals(Rows([]), ("radon",)))


def test_the_page_shows_times_memory_and_counts_of_rounds():
    rows = [row("nutmill", COLD, 1.0), row("nutmill", COLD, 1.0), row("nutpie", COLD, 4.0, peak=250.0)]
    page = "\n".join(tables.sections(report_of(rows)))
    assert "| radon | 1 (2) | 4 (8) | 4 | 2, 1 |" in page
    assert "| radon | 100 (40) | 250 (190) | 2.5 | not measured | not measured |" in page
    assert "## Another data set" not in page


def test_the_readme_table_sets_cold_and_warm_beside_the_peers():
    rows = [row("nutmill", COLD, 1.0), row("nutpie", COLD, 4.0), row("nutmill", WARM, 0.1), row("nutpie", WARM, 3.0)]
    lines = tables.short_table(report_of([*rows, row("nutmill", ARTIFACT, 0.5)])).splitlines()
    assert lines[2] == "| radon | 1 | 4 | 0.1 | 3 | 0.5 |"
    assert lines[3] == "| **times nutmill, geometric mean** |  | **4** |  | **30** |  |"


@pytest.fixture
def busy_modules(monkeypatch, tmp_path):
    """Put two modules on the path that keep the CPU busy when they are imported, the first with the second."""
    (tmp_path / "busy_outer.py").write_text("import busy_inner\n" + BUSY)
    (tmp_path / "busy_inner.py").write_text(BUSY)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("busy_outer", "busy_inner"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("load", [lambda: __import__("busy_outer"), lambda: importlib.import_module("busy_outer")])
def test_imports_are_counted_once_however_they_are_asked_for(busy_modules, load):
    with ImportClock() as clock:
        _, whole = timed(load)
    # Each module alone takes 0.05 CPU s; counted twice, the inner one would make more than there was.
    assert 0.1 <= clock.spent.cpu <= whole.cpu
    with ImportClock() as clock:
        load()
    assert clock.spent == Spent(0.0, 0.0)


def test_imports_of_other_threads_and_after_the_block_are_not_counted(busy_modules):
    with ImportClock() as clock:
        thread = threading.Thread(target=importlib.import_module, args=("busy_inner",))
        thread.start()
        thread.join()
    importlib.import_module("busy_outer")
    assert clock.spent == Spent(0.0, 0.0)


def test_a_real_first_draw_is_cold_then_warm(model_cache):
    request = {"model": "standard_normal", "sampler": "nutmill", "sizes": {}, "begun": time.monotonic()}
    variables = environment(NUTMILL_CACHE_DIR=str(model_cache))
    cold, warm = (
        run_module("benchmarks.compiling.first_draw", request, variables, 300.0)["measurement"] for _ in range(2)
    )
    assert (cold["from_cache"], warm["from_cache"]) == (False, True)
    assert warm["first_draw"]["cpu"] < cold["first_draw"]["cpu"]
    for measured in (cold, warm):
        assert 0.0 < measured["first_draw"]["cpu"] < measured["since_start"]["cpu"]
        assert 0.0 < measured["added_mb"] < measured["peak_rss_mb"]
        assert measured["gradients"] >= 2


@pytest.mark.slow
def test_the_whole_command_on_a_tiny_model(tmp_path):
    path = main(["--models", "standard_normal", "--peers", "--rounds", "1", "--out", str(tmp_path)])
    report.main([str(path)])
    assert path.with_suffix(".md").read_text().endswith("## Failures\n\nNone.\n")
