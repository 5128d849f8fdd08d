"""The benchmark of the suite: the plan, figures with their goals, tables and the page."""

import json
import re

import pytest
from suite_rows import failed, row

from benchmarks.caches import EMPTY, INSTALLED, STATES, WARM, Caches
from benchmarks.comparison import select
from benchmarks.dots import dots
from benchmarks.figures import (
    Figure,
    cpu_seconds,
    ess_per_kilogradient,
    evaluate,
    first_to_400_ess,
    gradient_microseconds,
    misses,
    to_sampling,
)
from benchmarks.losses import losses
from benchmarks.page import page
from benchmarks.plan import Settings, cells, left
from benchmarks.results_file import record, resume
from benchmarks.tables import (
    clean_section,
    correctness_section,
    failures_section,
    figure_section,
    losses_section,
    ranks_section,
    short_table,
)

GRADIENTS = Figure(
    "ESS", ess_per_kilogradient, True, WARM, ("easy", "hard"), goals={"nutpie": 1.2}, floors={"nutpie": 0.85}
)
CPU = Figure("CPU", cpu_seconds, False, INSTALLED, ("easy",), floors={"nutpie": 1.0})
BOTH = ("nutmill", "nutpie")


def test_failed_rows_and_other_cells_are_not_selected():
    rows = [row("nutmill", 300.0), failed("nutmill", "easy", "no"), row("nutpie", 200.0)]
    assert select(rows, ess_per_kilogradient, sampler="nutmill", model="easy") == [300.0]


def test_larger_is_better_for_ess_and_smaller_for_cpu():
    rows = [row("nutmill", 300.0), row("nutpie", 200.0)]
    assert evaluate(GRADIENTS, rows).ratios["easy"].value == pytest.approx(1.5, rel=1e-14)
    rows = [row("nutmill", 1.0, caches=INSTALLED, cpu=1.0), row("nutpie", 1.0, caches=INSTALLED, cpu=4.0)]
    assert evaluate(CPU, rows).ratios["easy"].value == pytest.approx(4.0, rel=1e-14)


def test_a_model_that_was_not_measured_is_a_miss():
    rows = [row("nutmill", 300.0), row("nutpie", 200.0), failed("nutmill", "hard", "no result within 5 s")]
    assert misses(GRADIENTS, rows, BOTH) == ["not measured against nutpie: hard"]


def test_a_low_mean_and_a_low_model_are_misses():
    rows = [row("nutmill", 81.0), row("nutpie", 100.0)]
    rows += [row("nutmill", 110.0, model="hard"), row("nutpie", 100.0, model="hard")]
    short = misses(GRADIENTS, rows, BOTH)
    assert short == [
        "against nutpie the geometric mean is 0.94, the goal 1.2",
        "easy is at 0.81 of nutpie, the floor 0.85",
    ]


def test_a_sampler_that_tells_no_gradients_has_no_ess_of_them():
    silent = row("numpyro", 200.0)
    silent["measurement"] |= {"draw_gradients": None, "warmup_gradients": None}
    rows = [row("nutmill", 300.0), silent]
    assert evaluate(GRADIENTS, rows, "numpyro").ratios == {}
    assert "| easy | 300 | not measured | not measured |" in figure_section(GRADIENTS, rows, ("nutmill", "numpyro"))


def test_what_stands_behind_a_figure_is_measured_too():
    measured = row("nutmill", 300.0, cpu=0.2)["measurement"]
    # 1000 gradients in a fifth of a second; a second of start, then import and compile.
    assert gradient_microseconds(measured) == pytest.approx(200.0, rel=1e-14)
    assert to_sampling(measured) == pytest.approx(1.4, rel=1e-14)


def test_the_first_to_enough_draws_is_known_for_every_model():
    rows = [row("nutmill", 400.0, caches=INSTALLED), row("nutpie", 800.0, caches=INSTALLED, cpu=1.1)]
    rows += [row("nutpie", 400.0, model="hard", caches=INSTALLED)]
    # After 3 s of start, import and compile: 0.4 + 0.6 of a second, and 1.1 (0.4 + 0.3) after 3.2 s.
    assert first_to_400_ess(rows, ("easy", "hard", "none"), BOTH) == {"easy": "nutpie", "hard": "nutpie", "none": None}
    section = ranks_section(rows, ("easy", "hard", "none"), BOTH)
    assert "| nutpie | 2 |" in section
    assert section.endswith("on 0 of 3 models; others: easy (nutpie), hard (nutpie), none (none).")


def test_the_table_of_a_figure_shows_values_ratio_and_what_is_missing():
    rows = [row("nutmill", 300.0, seed=1), row("nutmill", 300.0, seed=2)]
    rows += [row("nutpie", 200.0, seed=1), row("nutpie", 200.0, seed=2)]
    rows += [failed("nutpie", "hard", "no")]
    section = figure_section(GRADIENTS, rows, BOTH)
    assert "| easy | 300 | 200 | 1.50 ± 0.00 |" in section
    assert "| hard | not measured | not measured | **not measured** |" in section
    assert section.endswith("Missed: not measured against nutpie: hard.")


def test_a_figure_that_is_reached_says_so():
    rows = [row("nutmill", 9.0, caches=INSTALLED), row("nutpie", 9.0, caches=INSTALLED)]
    assert figure_section(CPU, rows, ("nutmill", "nutpie")).endswith("Met.")


def test_the_worst_run_counts_and_runs_that_draw_the_same_are_not_added_up():
    rows = [row("nutmill", 300.0, caches=state) for state in (INSTALLED, WARM)]
    for each in rows:
        each["measurement"]["divergences"] = 7
    assert "| easy | nutmill | no reference | no reference | 1.000 | 300 | 300 | 7 | no |" in correctness_section(
        rows, ("easy",), ("nutmill",)
    )


def test_failures_are_listed_with_their_reasons():
    section = failures_section([failed("nutmill", "hard", "a | b")])
    assert "| hard | nutmill | 1 | warm | a \\| b |" in section


def test_the_short_table_has_for_every_figure_and_peer_the_mean_the_goal_and_the_least_model():
    known = [row("nutmill", ess, model=model, caches=INSTALLED) for model, ess in (("kidiq", 400.0), ("garch", 100.0))]
    known += [row(peer, 100.0, model="kidiq", caches=INSTALLED) for peer in ("nutpie", "numpyro")]
    known += [row("nutpie", 200.0, model="garch", caches=INSTALLED)]
    lines = short_table(known, ("kidiq", "garch"), ("nutmill", "nutpie", "numpyro")).splitlines()
    assert lines[0] == "| nutmill, times better than | nutpie | numpyro |"
    assert lines[2].endswith("| **1.41** of 2, goal 7; least 0.50 (garch) | **4.00** of 1; least 4.00 (kidiq) |")
    assert lines[3].startswith("| Least tail ESS per 1000 gradients | **1.41** of 2, goal 7; least 0.50 (garch) |")
    assert lines[4].endswith("| **4.00** of 1, goal 3; least 4.00 (kidiq) |")
    # Of kidiq and garch nutmill's first is clean and nutpie's neither; NumPyro's only model is not.
    assert lines[-3].endswith("| **1** : 0 of 2 | **1** : 0 of 1 |")
    assert len([each for each in lines if each.startswith("| CPU micro")]) == 0
    assert lines[-1].endswith("on 1 of 2 models; others: garch (nutpie).")


def test_the_plan_visits_every_state_once_and_every_seed_installed():
    settings = Settings(("kidiq", "sblrc"), BOTH, STATES, 3, 10, 4, 2, 5.0)
    planned = list(cells(settings))
    assert len(planned) == len(set(planned)) == 2 * 2 * (3 + 2)
    for model in settings.models:
        for sampler in settings.samplers:
            states = [cell.caches for cell in planned if (cell.model, cell.sampler) == (model, sampler)]
            # The warm cell needs what the one before has compiled.
            assert states == [EMPTY, INSTALLED, WARM, INSTALLED, INSTALLED]


def test_the_plan_leaves_states_out_and_runs_warm_only_whom_the_figures_compare_there():
    settings = Settings(("kidiq",), ("nutmill", "numpyro", "nutpie"), (INSTALLED, WARM), 2, 10, 4, 2, 5.0)
    planned = list(cells(settings))
    assert [cell.caches for cell in planned if cell.sampler == "numpyro"] == [INSTALLED, INSTALLED]
    assert {cell.sampler for cell in planned if cell.caches == WARM} == {"nutmill", "nutpie"}


def test_a_model_that_was_interrupted_is_measured_again_from_its_first_cell_on():
    settings = Settings(("kidiq", "sblrc", "garch"), BOTH, (INSTALLED, WARM), 1, 10, 4, 2, 5.0)
    planned = list(cells(settings))
    rows = [cell._asdict() | {"failure": "no"} for cell in planned[:5]]
    assert left(settings, rows) == planned[4:]
    assert left(settings, rows[:4]) == planned[4:]
    assert left(settings, [cell._asdict() for cell in planned]) == []


def test_a_run_is_resumed_on_the_same_machine_only(tmp_path):
    path = record("suite", tmp_path, {"draws": 10}, [{"model": "kidiq"}])
    resume(path, json.loads(path.read_text()), [{"model": "sblrc"}])
    report = json.loads(path.read_text())
    assert [row["model"] for row in report["rows"]] == ["kidiq", "sblrc"] and len(report["resumed"]) == 1
    assert report["commit"]
    with pytest.raises(SystemExit, match=r"other software \(commit\): begin a new run"):
        resume(path, {**report, "commit": "another"}, [{"model": "garch"}])
    report["machine"]["cpu"] = "another"
    with pytest.raises(SystemExit, match=r"other software \(cpu\): begin a new run"):
        resume(path, report, [{"model": "garch"}])
    assert len(json.loads(path.read_text())["rows"]) == 2


def test_warm_caches_are_those_of_the_cell_before(tmp_path):
    caches = Caches(tmp_path)
    (caches.primed("nutmill") / "kernel").touch()
    installed = caches.folder("kidiq", "nutmill", INSTALLED)
    assert (installed / "kernel").exists()
    assert caches.folder("kidiq", "nutmill", WARM) == installed
    empty = caches.folder("kidiq", "nutmill", EMPTY)
    assert not empty.exists()
    empty.mkdir(parents=True)
    assert caches.folder("kidiq", "nutmill", WARM) == empty


def test_the_page_of_the_suite_holds_plots_tables_and_what_failed():
    rows = [row("nutmill", 400.0, model="kidiq", caches=state) for state in (INSTALLED, WARM)]
    rows += [row("nutpie", 200.0, model="kidiq", caches=state) for state in (INSTALLED, WARM)]
    rows += [failed("nutpie", "garch", "no result within 5 s")]
    settings = {"models": ["kidiq", "garch"], "samplers": list(BOTH), "cores": 2, "chains": 4, "draws": 1000}
    about = {"cpu": "a processor", "usable_cores": 2, "python": "3.13", "packages": {"nutmill": "0.1"}}
    text = page({"rows": rows, "settings": settings, "machine": about, "date": "today"})
    assert "nutpie gave up garch (warm): no result within 5 s." in text
    # Seven figures of dots, and bars of the model that has been measured; nobody is below 1.
    assert text.count("<svg") == 7 + 1 and text.count('class="dot better"') == 7
    assert "<td>kidiq</td>" in text and "first to 400 ESS of every parameter on 1 of 2 models" in text
    assert not re.search("(src|href)=", text)


def test_a_peer_that_does_better_is_explained_by_what_was_measured():
    of = {"model": "kidiq", "caches": INSTALLED}
    rows = [row("nutmill", 100.0, **of), row("nutpie", 300.0, **of, cpu=2.0)]
    (loss,) = losses(rows, ["kidiq"], BOTH)
    assert (loss.model, loss.peer, loss.clean) == ("kidiq", "nutpie", (False, False))
    by_gradient, by_second = 1.0 / 3.0, 2.0 / 3.0
    assert sorted(loss.ratios.values()) == pytest.approx([by_gradient] * 2 + [by_second] * 2)
    assert loss.gradients == (10.0, pytest.approx(10.0 / 3.0)) and loss.gradient_us == (1000.0, 2000.0)
    assert loss.cause == "3 times the gradients per effective draw"
    assert "| kidiq | nutpie | bulk / gradient 0.333;" in losses_section(rows, ["kidiq"], BOTH)
    assert losses_section(rows[:1], ["kidiq"], ("nutmill",)).endswith("Nowhere.")


def test_a_peer_that_is_only_sooner_is_explained_by_seconds():
    rows = [row(sampler, 400.0, model="kidiq", caches=INSTALLED) for sampler in BOTH]
    rows[0]["measurement"]["compiled"] = {"wall": 9.0, "cpu": 1.0}
    (loss,) = losses(rows, ["kidiq"], BOTH)
    assert loss.cause == "the way to sampling takes 8 s longer"


def test_dots_are_as_high_as_their_ratios():
    text = dots("Title <1>", {"a-b": {"one": 10.0, "two": 1.0, "three": 0.1}, "none": {}})
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', text)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert text.count('"dot better"') == 2 and text.count('"dot worse"') == 1
    assert "<title>three: 0.1</title>" in text and "Below 1: three 0.1 (a-b)." in text and "Title &lt;1&gt;" in text
    assert "x 1<" in text and "none" not in text
    assert "Not measured" in dots("Title", {"none": {}})


def test_clean_models_are_counted_and_others_named():
    rows = [row("nutmill", ess, model=model, caches=INSTALLED) for model, ess in (("easy", 400.0), ("hard", 399.0))]
    assert "| nutmill | 1 | 2 | hard |" in clean_section(rows, ("nutmill",))


def test_the_samplers_take_turns_in_going_first():
    settings = Settings(("kidiq",), BOTH, STATES, 2, 10, 4, 2, 5.0)
    assert [cell.sampler for cell in cells(settings)][::2] == ["nutmill", "nutpie", "nutmill", "nutpie"]


def test_nothing_measured_is_a_miss():
    assert misses(GRADIENTS, [], BOTH) == ["not measured against nutpie: easy, hard"]
