"""How Slurm treats a task of `nutmill sbatch`: back into the queue when its time is over, gone when it is cancelled."""

from pathlib import Path

import pytest
from slurm.cluster import wait_until

from nutmill.cli.job_scripts import BatchJob, scripts

# In the place of nutmill: the first time it waits for a signal and ends with 3, the second time all is well.
STAND_IN = """#!/bin/bash
echo "$*" >>"calls-$SLURM_ARRAY_TASK_ID"
trap 'exit 3' USR1 TERM
[[ $1 == sample && ! -e started-$SLURM_ARRAY_TASK_ID ]] || exit 0
touch "started-$SLURM_ARRAY_TASK_ID"
while :; do sleep 0.1; done
"""


@pytest.fixture
def submitted(one_node, tmp_path):
    """Submit one task and the job that depends on it; give the ids of both once the task runs."""
    programs, folder = tmp_path / "bin", tmp_path / "run"
    programs.mkdir()
    folder.mkdir()
    (programs / "nutmill").write_text(STAND_IN)
    (programs / "nutmill").chmod(0o755)
    job = BatchJob("model.py:model", 4, Path("run"), cpus=1, setup=(f'PATH="{programs}:$PATH"',))
    for name, text in scripts(job).items():
        (folder / name).write_text(text)
    said = one_node.run("bash", folder / "submit.sh", folder=tmp_path).split()
    array, merge = said[1], said[5]
    wait_until((tmp_path / "started-0").exists, lambda: str(one_node.states(array)))
    return array, merge


def calls(folder, task=""):
    return (folder / f"calls-{task}").read_text().splitlines()


def test_time_over(one_node, submitted, tmp_path):
    """USR1 comes to the script, as Slurm sends it a minute before the end."""
    array, merge = submitted
    one_node.run("scancel", "--signal=USR1", "--batch", array)
    assert one_node.ended(array) == one_node.ended(merge) == {"COMPLETED"}
    first, second = calls(tmp_path, 0)
    assert first == second and first.startswith("sample model.py:model") and first.endswith("--resume")
    assert len(calls(tmp_path)) == 1 and calls(tmp_path)[0].startswith("merge ")


def test_cancelled(one_node, submitted, tmp_path):
    """The chains end with 3 as well, but nobody wants them back; the job that joins them goes too."""
    array, merge = submitted
    one_node.run("scancel", array)
    assert one_node.ended(array) == one_node.ended(merge) == {"CANCELLED"}
    assert len(calls(tmp_path, 0)) == 1 and not (tmp_path / "calls-").exists()
