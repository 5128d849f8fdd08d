"""Runs that are killed, cut off by a full disk, or damaged, as `tests/faults.py` does it many times over."""

import faults
import pytest
import zoo


@pytest.mark.parametrize("chains", [1, 6])
@pytest.mark.parametrize("fault", faults.FAULTS)
def test_resumed_runs_equal_the_one_that_was_left_alone(tmp_path, monkeypatch, fault, chains):
    monkeypatch.setitem(faults.ASKED, "draws", 3000)
    rows = list(faults.stopped_runs(zoo.compiled("regression"), chains, fault, 3, seed=4, folder=tmp_path))
    assert sum(row["stops"] for row in rows) == 3
    assert all(row["same"] for row in rows)
    assert {status for row in rows for status in row["statuses"]} <= {-9, 0, 2}
