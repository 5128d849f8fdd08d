"""The benchmark of batch jobs: its goals, its tables, and a real kill of a run on a small model."""

import math
import time

import numpy as np
import pytest
import xarray as xr
from processes import environment

from benchmarks.batch import tables
from benchmarks.batch.command import COST, DASK, KILLS, SLURM, SUSTAINED, VARIANTS
from benchmarks.batch.digest import digest
from benchmarks.batch.sustained import MemoryWatch
from benchmarks.tables import failures_section
from nutmill.comparison.rounds import run_module


def cost(variant, wall, *, drawn="a", number=1):
    """Return the row of a run of 1000 gradients whose wall and CPU seconds are the same."""
    measured = {"sampled": {"wall": wall, "cpu": wall}, "gradients": 1000, "digest": drawn}
    return {"cell": COST, "variant": variant, "round": number, "measurement": measured}


def watched(memory, mb_per_s=12.0):
    return {"cell": SUSTAINED, "measurement": {"memory": list(enumerate(memory)), "mb_per_s": mb_per_s}}


def killed(*equal):
    runs = [{"chains": 1 + 3 * (number % 2), "equal": each, "began_anew": False} for number, each in enumerate(equal)]
    return {"cell": KILLS, "measurement": {"runs": runs}}


def verdicts(*rows):
    by_cell = {cell: [row for row in rows if row["cell"] == cell] for cell in (COST, SUSTAINED, KILLS, DASK, SLURM)}
    return {goal.title.split(",")[0]: goal for goal in tables.goals(by_cell)}


def test_the_cost_of_checkpoints_is_what_medians_differ_by():
    rows = [cost("without", wall) for wall in (9.0, 10.0, 30.0)] + [
        cost("default", wall) for wall in (10.1, 10.0, 99.0)
    ]
    goal = verdicts(*rows)["checkpoints at the default interval"]
    assert (goal.value, goal.met) == (pytest.approx(1.0), True)
    assert not verdicts(cost("without", 10.0), cost("default", 10.3))["checkpoints at the default interval"].met


def test_memory_is_flat_when_it_does_not_rise_after_the_first_tenth():
    settling = [50.0] * 5 + [200.0] * 45
    assert verdicts(watched(settling))["growth of memory meanwhile"].value == 0.0
    leaking = [200.0 + second for second in range(100)]
    assert not verdicts(watched(leaking))["growth of memory meanwhile"].met


def test_one_killed_run_with_other_bytes_is_a_goal_missed():
    assert verdicts(killed(True, True))["killed runs that came to the same bytes"].met
    judged = verdicts(killed(True, True, True, False))["killed runs that came to the same bytes"]
    assert (judged.value, judged.met) == (75.0, False)
    assert "| 4 | 2 | 1 | 0 |" in tables.kills_section([killed(True, True, True, False)])


def test_nothing_measured_is_no_goal_met():
    assert all(math.isnan(goal.value) and not goal.met for goal in verdicts().values())
    assert "## Checkpoints" not in "".join(tables.sections({"rows": []}))


def test_the_page_says_whether_checkpoints_have_changed_the_draws():
    rows = [cost(variant, 10.0) for variant in VARIANTS]
    assert tables.cost_section(rows).endswith("All have the same draws.")
    assert tables.cost_section([*rows, cost("default", 10.0, drawn="b")]).endswith("**The draws differ.**")


def test_failed_rows_of_different_cells_share_a_table():
    section = failures_section([{"cell": "a", "failure": "x"}, {"cell": "b", "round": 1, "failure": "y"}])
    assert section.splitlines()[2:] == [
        "| cell | failure | round |",
        "| --- | ---: | ---: |",
        "| a | x |  |",
        "| b | y | 1 |",
    ]


def test_a_digest_tells_one_bit_and_a_name():
    def trace(values, name="x"):
        draws = xr.Dataset({name: (("chain", "draw"), np.asarray(values))})
        return {"posterior": draws, "sample_stats": draws}

    base = digest(trace([[1.0, 2.0]]))
    assert base == digest(trace([[1.0, 2.0]]))
    others = [trace([[1.0, np.nextafter(2.0, 3.0)]]), trace([[1.0], [2.0]]), trace([[1.0, 2.0]], "y")]
    assert base not in {digest(other) for other in others}


def test_memory_is_watched_from_the_first_moment_and_not_beyond_the_block():
    with MemoryWatch(interval_s=0.01) as watch:
        held = np.ones(8_000_000)  # 64 MB
        count = len(watch.seen)
        while len(watch.seen) < count + 2:
            time.sleep(0.01)
    n_seen = len(watch.seen)
    assert watch.seen[-1][1] - watch.seen[0][1] > 0.9 * held.nbytes / 2**20
    time.sleep(0.05)
    assert len(watch.seen) == n_seen


def test_real_runs_that_are_killed_come_to_the_same_bytes(model_cache, tmp_path):
    request = {"kills": 2, "seed": 1, "folder": str(tmp_path / "runs")}
    request |= {"model": "standard_normal", "draws": 2000, "every_s": 0.01}
    row = run_module("benchmarks.batch.kills", request, environment(NUTMILL_CACHE_DIR=str(model_cache)), 300.0)
    assert [(run["chains"], run["equal"]) for run in row["measurement"]["runs"]] == [(1, True), (4, True)]
    assert not list((tmp_path / "runs").iterdir())
