"""A real Slurm of this machine's own, as `.ci/slurm.sh` starts it, and its commands."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import environment

SCRIPT = Path(__file__).parents[2] / ".ci" / "slurm.sh"
# What a job of another Slurm, in which the tests may run, would tell this one.
FOREIGN = re.compile("SLURM|SBATCH|SRUN|SCANCEL|SQUEUE")
# States that a task does not leave by itself.
ENDS = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


class Cluster:
    """A Slurm that runs.

    Parameters
    ----------
    configuration : Path
        Its slurm.conf; its logs lie beside it.
    """

    def __init__(self, configuration: Path):
        own = {name: value for name, value in environment().items() if not FOREIGN.match(name)}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # the command nutmill
        self.environment = own | {"SLURM_CONF": str(configuration), "PATH": path}

    def run(self, *command, folder: Path | None = None) -> str:
        """Run a command of Slurm, or one that calls some; return what it printed, and fail if it does."""
        options = {"cwd": folder, "env": self.environment, "timeout": 300}
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def states(self, job: str) -> dict[str, str]:
        """Give the state of each task of a job by its name, such as 7_0 of an array."""
        rows = self.run("squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%i %T")
        return dict(row.split() for row in rows.splitlines())

    def ended(self, job: str) -> set[str]:
        """Wait until all tasks of a job have ended; give the states in which they have."""
        wait_until(lambda: set(self.states(job).values()) <= ENDS, lambda: str(self.states(job)))
        return set(self.states(job).values())


def wait_until(is_so: Callable[[], bool], describe: Callable[[], str], timeout_s: float = 300.0) -> None:
    """Wait until something is so; else fail with a description of what is."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.1)


@contextmanager
def running(*nodes_and_cpus: int) -> Iterator[Cluster]:
    """Run a Slurm on one node with the CPUs of this machine, or on nodes that it makes up."""
    # Not a folder of pytest: munge's own user has to reach its socket.
    with tempfile.TemporaryDirectory(prefix="nutmill-slurm-") as folder:
        started = subprocess.run([SCRIPT, "start", folder, *map(str, nodes_and_cpus)], capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        try:
            yield Cluster(Path(started.stdout.strip()))
        finally:
            subprocess.run([SCRIPT, "stop", folder], check=True)
