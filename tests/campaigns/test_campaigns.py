"""Small campaigns of breaking nutmill; `python -m campaigns` in this folder makes large ones (docs/reliability.md)."""

import pytest
import zoo

from campaigns import stops
from campaigns.disks import can_mount
from campaigns.kinds import KINDS
from campaigns.trials import HELD

# The others take more than some seconds, even so few.
CHEAP = ("profiles",)
MOUNTING = ("disks", "temporary")


@pytest.mark.parametrize("chains", [1, 6])
@pytest.mark.parametrize("fault", stops.FAULTS)
def test_resumed_runs_equal_the_one_that_was_left_alone(tmp_path, monkeypatch, fault, chains):
    monkeypatch.setitem(stops.ASKED, "draws", 3000)
    rows = list(stops.stopped_runs(zoo.compiled("regression"), chains, fault, 3, seed=4, folder=tmp_path))
    assert sum(row["stops"] for row in rows) == 3
    assert all(row["same"] for row in rows)
    assert {status for row in rows for status in row["statuses"]} <= {-9, 0, 2}


@pytest.mark.parametrize(
    "name", [name if name in CHEAP else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def test_what_is_tried_comes_to_the_same_bytes_or_to_one_sentence(tmp_path, model_cache, name):
    if name in MOUNTING and not can_mount():
        pytest.skip("mounts disks, which root alone can do")
    found = KINDS[name].run(KINDS[name].few, seed=1, folder=tmp_path)
    assert found and set(found) <= HELD, found
