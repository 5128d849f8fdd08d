"""What the scripts of a batch job do, with stand-ins for the commands of Slurm and for nutmill."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from nutmill.cli.job_scripts import BatchJob, scripts
from nutmill.cli.options import read_chain_ids

# Each tells what it was given; srun runs its command, and nutmill ends as it is told to, at once or when USR1 comes.
STAND_INS = {
    "srun": '#!/bin/bash\n[[ $1 == --cpus-per-task=4 ]] || exit 64\nshift\nexec "$@"\n',
    "nutmill": """#!/bin/bash
echo "nutmill $*" >>"$LOG"
(IFS='|'; echo "$*" >>arguments)
trap 'exit $CODE' USR1
[[ $UNTIL_USR1 ]] || exit $CODE
touch ready
while :; do sleep 0.05; done
""",
    "scontrol": '#!/bin/bash\necho "scontrol $*" >>"$LOG"\n',
}


@pytest.fixture
def start(tmp_path):
    """Give a function that starts the script of a task, as Slurm would."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def run(job, name="chains.sbatch", **variables):
        (tmp_path / name).write_text(scripts(job)[name])
        given = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "LOG": "log", "SLURM_CPUS_PER_TASK": "4"}
        environment = given | {"SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "17", "CODE": "0", **variables}
        return subprocess.Popen(["bash", name], cwd=tmp_path, env=environment)

    return run


def new_job(chains=8):
    return BatchJob("model.py:model", chains, Path("run"), cpus=4, sampling=("--draws", "5"))


@pytest.mark.parametrize("chains", [1, 3, 4, 9])
def test_tasks_have_all_chains_once(start, tmp_path, chains):
    job, ids = new_job(chains), []
    for task in range(job.n_tasks):
        assert start(job, SLURM_ARRAY_TASK_ID=str(task)).wait() == 0
        words = (tmp_path / "log").read_text().splitlines()[-1].split()
        part = words[words.index("--chain-ids") + 1]
        assert words[words.index("--checkpoint") + 1] == f"run/chains-{part}"
        assert words[:3] == ["nutmill", "sample", "model.py:model"] and words[-1] == "--resume"
        assert words[words.index("--chains") + 1] == str(chains)
        ids += read_chain_ids(part)
    assert ids == list(range(chains))


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 138])
def test_a_task_ends_as_its_chains_do(start, tmp_path, code):
    """Also when they were stopped and nobody said that its time is over: after scancel it is not to come back."""
    assert start(new_job(), CODE=str(code)).wait() == code
    assert "scontrol" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("code", "goes_back"), [(3, True), (138, True), (0, False), (1, False)])
def test_a_task_whose_time_is_over_goes_back_if_its_chains_can_go_on(start, tmp_path, code, goes_back):
    task = start(new_job(), CODE=str(code), UNTIL_USR1="yes")
    while not (tmp_path / "ready").exists():
        assert task.poll() is None
    task.send_signal(signal.SIGUSR1)
    assert task.wait(timeout=30) == code
    assert ("scontrol requeue 17" in (tmp_path / "log").read_text().splitlines()) == goes_back


def test_parts_are_folders_and_logs_are_not(start, tmp_path):
    for name in ("chains-0-3", "chains-4-7"):
        (tmp_path / "run" / name).mkdir(parents=True)
    (tmp_path / "run" / "chains-0.log").touch()
    assert start(new_job(), "merge.sbatch").wait() == 0
    expected = "nutmill merge run/chains-0-3/ run/chains-4-7/ --model model.py:model --out run/result.nc\n"
    assert (tmp_path / "log").read_text() == expected


def test_names_that_begin_with_a_dash_are_no_options(start, tmp_path):
    job = new_job()._replace(model="-x.nut", data=Path("--wrap=y.npz"))
    for name in ("chains.sbatch", "merge.sbatch"):
        assert start(job, name).wait() == 0
    for line in (tmp_path / "arguments").read_text().splitlines():
        assert {"./-x.nut", "./--wrap=y.npz"} <= set(line.split("|"))


def test_names_with_blanks_reach_nutmill_whole(start, tmp_path):
    job = new_job()._replace(model="my model.py:model", data=Path("my data.npz"))
    for name in ("chains.sbatch", "merge.sbatch"):
        assert start(job, name).wait() == 0
    for line in (tmp_path / "arguments").read_text().splitlines():
        assert {"my model.py:model", "my data.npz"} <= set(line.split("|"))
