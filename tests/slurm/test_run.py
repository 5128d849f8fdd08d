"""Chains on a real Slurm: stopped, killed, resubmitted and joined, they are those of a run that was left alone."""

import json
import os
import re
import signal

import numpy as np
from slurm.cluster import wait_until

from nutmill.results.storage import load

# A gradient of a third of a millisecond: a task takes long enough to be met while it samples.
MODEL = """
import numpy as np
import pymc as pm

x = np.linspace(0.0, 10.0, 160)
y = np.sin(x) + 0.3 * np.random.default_rng(1).normal(size=160)
with pm.Model() as model:
    length_scale = pm.InverseGamma("length_scale", 5.0, 5.0)
    amplitude = pm.HalfNormal("amplitude", 1.0)
    noise = pm.HalfNormal("noise", 1.0)
    covariance = amplitude**2 * pm.math.exp(-0.5 * (x[:, None] - x) ** 2 / length_scale**2)
    pm.MvNormal("y", 0.0, cov=covariance + noise**2 * np.eye(160), observed=y)
"""
SETTINGS = ("--chains", "8", "--draws", "1500", "--tune", "200", "--seed", "5")


class Job:
    """Eight chains in two tasks."""

    def __init__(self, cluster, folder):
        self._cluster, self._folder = cluster, folder
        self.array = self.merge = ""

    def nutmill(self, *arguments):
        return self._cluster.run("nutmill", *arguments, folder=self._folder)

    def submit(self):
        said = self._cluster.run("bash", "run/submit.sh", folder=self._folder).split()
        self.array, self.merge = said[1], said[5]

    def log(self):
        return "".join(path.read_text() for path in sorted(self._folder.glob("run/*.log")))

    def state(self, task):
        """What the task itself tells of its run; None before it has begun."""
        folder = self._folder / "run" / f"chains-{4 * task}-{4 * task + 3}"
        if not (folder / "status.json").exists():
            return None
        return json.loads(self.nutmill("status", folder, "--json"))[0]

    def wait_for_a_checkpoint(self, task):
        """Wait until a task can be stopped; return what it tells then."""

        def can_be_stopped():
            state = self.state(task)
            return state is not None and state["is_running"] and state["last_checkpoint"] is not None

        wait_until(can_be_stopped, lambda: f"{self.state(task)} {self._cluster.states(self.array)} {self.log()}")
        return self.state(task)

    def restarts(self, task):
        """How often Slurm has taken a task out of the queue again."""
        shown = self._cluster.run("scontrol", "show", "job", f"{self.array}_{task}", "--oneliner")
        return int(re.search(r"Restarts=(\d+)", shown)[1])


def test_stopped_killed_resubmitted_and_joined(four_nodes, tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    job = Job(four_nodes, tmp_path)
    job.nutmill("compile", "model.py:model", "--out", "model.nut")
    job.nutmill("sbatch", "model.nut", *SETTINGS, "--nodes", "4", "--every", "1s", "--layout", "none")
    job.submit()
    # The time of the first task is over: it goes back into the queue, and on from its checkpoint.
    job.wait_for_a_checkpoint(0)
    four_nodes.run("scancel", "--signal=USR1", "--batch", f"{job.array}_0")
    # The second is killed: it fails, and the job that joins the chains will never run.
    os.kill(job.wait_for_a_checkpoint(1)["owner"]["pid"], signal.SIGKILL)
    assert four_nodes.ended(job.array) == {"COMPLETED", "FAILED"}, job.log()
    assert four_nodes.states(job.array)[f"{job.array}_0"] == "COMPLETED", job.log()
    assert four_nodes.ended(job.merge) == {"CANCELLED"}
    assert (job.restarts(0), job.restarts(1)) == (1, 0)
    assert not (tmp_path / "run" / "result.nc").exists()
    job.submit()
    assert four_nodes.ended(job.array) == four_nodes.ended(job.merge) == {"COMPLETED"}, job.log()
    job.nutmill("sample", "model.nut", *SETTINGS, "--out", "alone.nc")
    merged, alone = load(tmp_path / "run" / "result.nc"), load(tmp_path / "alone.nc")
    assert merged["posterior"].sizes == {"chain": 8, "draw": 1500}
    for kind in ("posterior", "sample_stats"):
        assert set(merged[kind].data_vars) == set(alone[kind].data_vars)
        for name, values in alone[kind].data_vars.items():
            np.testing.assert_array_equal(merged[kind][name].values, values.values)
    assert "8 chains x 1500 draws" in (tmp_path / "run" / "merge.log").read_text()
