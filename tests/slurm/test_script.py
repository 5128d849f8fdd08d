"""`.ci/slurm.sh`: a Slurm that runs jobs, and leaves no process behind."""

import os
import subprocess
from pathlib import Path

from slurm.cluster import SCRIPT, running, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmstepd")


def processes_of(folder):
    """Ids of the processes that were started for a Slurm in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            mark = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if str(folder).encode() in mark and (path / "comm").read_text().strip() in PROGRAMS:
            found.append(int(path.name))
    return found


def test_one_node_binds_a_step_to_the_cpus_it_asks_for(one_node):
    cpus = one_node.run("srun", "--cpus-per-task=1", "nproc").split()
    assert cpus == ["1"]
    assert one_node.run("srun", f"--cpus-per-task={os.cpu_count()}", "nproc").split() == [str(os.cpu_count())]


def test_four_nodes_run_side_by_side(four_nodes, tmp_path):
    script = tmp_path / "where.sbatch"
    # Each waits until all four are there: a cluster that runs them one after the other would wait for ever.
    script.write_text(
        "#!/bin/bash\n#SBATCH --array=0-3 --cpus-per-task=16 --time=1 --output=%a.out\n"
        "touch here-$SLURM_ARRAY_TASK_ID\nuntil (($(ls here-* | wc -l) == 4)); do sleep 0.1; done\n"
        "echo $SLURMD_NODENAME\n"
    )
    job = four_nodes.run("sbatch", "--parsable", script, folder=tmp_path).strip()
    assert four_nodes.ended(job) == {"COMPLETED"}
    assert {path.read_text() for path in tmp_path.glob("*.out")} == {"n1\n", "n2\n", "n3\n", "n4\n"}


def test_stop_ends_all_that_was_started_with_a_job_under_way():
    with running() as cluster:
        folder = Path(cluster.environment["SLURM_CONF"]).parent
        job = cluster.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 600").strip()
        wait_until(lambda: cluster.states(job) == {job: "RUNNING"}, lambda: str(cluster.states(job)))
        wait_until(lambda: len(processes_of(folder)) >= 4, lambda: str(processes_of(folder)))
    assert processes_of(folder) == []


def test_a_wrong_call_says_how_it_is_called(tmp_path):
    for arguments in ([], ["start"], ["burn", tmp_path]):
        done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True)
        assert done.returncode != 0 and "usage: slurm.sh" in done.stderr
