"""The bar for warmup: what it measures, and that its table tells lost runs from sound ones."""

import json

from benchmarks.centred import command
from benchmarks.centred.tables import sections


def row(seed: int, **changes) -> dict:
    """Return what a sound run leaves, with changes."""
    sound = {"rhat": 1.004, "ess_bulk": 1200.0, "ess_tail": 900.0, "divergences": [1, 0, 0, 2], "n_warmup": 170}
    return {"model": "funnel", "seed": seed, "warmup_gradients": 5000, "gradients": 40_000} | sound | changes


def test_lost_runs_and_necks_are_counted():
    lost, in_neck = row(2, rhat=1.2, ess_bulk=20.0), row(3, divergences=[0, 63, 0, 0])
    (told,) = sections({"rows": [row(1), lost, in_neck]})
    assert "| funnel | 1.200 | 1.004 | 20 | 1200 | 900 | 3, 3, 63 | 170 | 40 | 30 |" in told
    assert "3 runs: 1 with R-hat above 1.1, 1 with more than 20 divergences in one chain." in told


def test_a_run_is_measured_and_kept(tmp_path):
    path = command.main(["--models", "eight_schools_centred", "--seeds", "1", "--draws", "60", "--out", str(tmp_path)])
    (found,) = json.loads(path.read_text())["rows"]
    assert found.keys() == row(1).keys()
    assert len(found["divergences"]) == 4 and found["gradients"] > found["warmup_gradients"] > 0
    assert found["rhat"] > 1.0 and 0.0 < found["ess_bulk"] < 400.0
