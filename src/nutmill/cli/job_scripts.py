"""The scripts of a batch job for Slurm: chains in an array, a job that joins them, and what submits both."""

import math
import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from nutmill.nuts.group_size import GROUP_SIZE

CHAINS, MERGE, SUBMIT, LAYOUT = "chains.sbatch", "merge.sbatch", "submit.sh", "layout.json"


class BatchJob(NamedTuple):
    """What is to be sampled, and with what."""

    model: str  # as `nutmill sample` takes it
    chains: int
    folder: Path  # where scripts, logs, checkpoints and the result go
    cpus: int  # of each task of the array, which samples one group of chains
    at_once: int | None = None  # tasks that run at the same time; None leaves it to Slurm
    sampling: tuple[str, ...] = ()  # options of `nutmill sample`, those of the single task left out
    data: Path | None = None  # arrays for the model, as `nutmill sample` takes them
    result: str = "result.nc"  # name of the result in the folder
    limit_s: float | None = None  # of each task; None takes the partition's
    directives: tuple[str, ...] = ()  # more options of sbatch, such as ``--partition=long``
    setup: tuple[str, ...] = ()  # lines of shell that each job begins with

    @property
    def n_tasks(self) -> int:
        """Tasks of the array: one a group of chains."""
        return math.ceil(self.chains / GROUP_SIZE)

    @property
    def data_options(self) -> tuple[str, ...]:
        """Options that name the data."""
        return () if self.data is None else ("--data", _file(str(self.data)))

    @property
    def name(self) -> str:
        """Of the job in Slurm, which reads what follows a blank as another option."""
        stem = Path(self.model.rpartition(":")[0] or self.model).stem
        return f"nutmill-{re.sub(r'[^A-Za-z0-9_.-]+', '-', stem)}"


def scripts(job: BatchJob) -> dict[str, str]:
    """Write the scripts of a job: file name -> text."""
    return {CHAINS: chains_script(job), MERGE: merge_script(job), SUBMIT: submit_script(job)}


def chains_script(job: BatchJob) -> str:
    """Write the array: each task samples its group, and runs again when Slurm stops it."""
    throttle = "" if job.at_once is None or job.at_once >= job.n_tasks else f"%{job.at_once}"
    limit = [] if job.limit_s is None else [f"--time={slurm_time(job.limit_s)}"]
    head = _head(
        job,
        f"Samples {job.chains} chains of {job.model}: each task of the array a group of {GROUP_SIZE}.",
        f"--job-name={job.name}",
        f"--array=0-{job.n_tasks - 1}{throttle}",
        f"--output={job.folder}/chains-%a.log",
        "--open-mode=append",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={job.cpus}",
        "--hint=nomultithread",
        *limit,
        *job.directives,
        "--requeue",
        "--signal=B:USR1@60",
    )
    return head + _CHAINS.format(
        group=GROUP_SIZE,
        beyond=_beyond(job),
        model=_words(_file(job.model)),
        options=_words("--chains", str(job.chains), *job.data_options, *job.sampling),
        folder=job.folder,
    )


def merge_script(job: BatchJob) -> str:
    """Write the job that joins what the tasks have drawn."""
    head = _head(
        job,
        f"Joins the chains of {job.model} into {job.folder}/{job.result}.",
        f"--job-name={job.name}-merge",
        f"--output={job.folder}/merge.log",
        "--open-mode=append",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=1",
        *job.directives,
    )
    return head + _MERGE.format(
        folder=job.folder, result=job.result, model=_words("--model", _file(job.model), *job.data_options)
    )


def submit_script(job: BatchJob) -> str:
    """Write what submits both jobs, from the folder that their paths start at."""
    return _SUBMIT.format(folder=job.folder, start=os.path.relpath(".", job.folder), result=job.result)


def slurm_time(seconds: float) -> str:
    """Write a limit as Slurm reads it, to the second above: 04:00:00, 2-12:00:00."""
    minutes, rest_s = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02d}:{minutes:02d}:{rest_s:02d}"
    return f"{days}-{clock}" if days else clock


def _head(job: BatchJob, about: str, *directives: str) -> str:
    """Write the beginning of a job script; what sets the environment up often cannot live with ``set -u``."""
    lines = ["#!/bin/bash", f"# {about}", "# Written by `nutmill sbatch`.", *(f"#SBATCH {one}" for one in directives)]
    return "\n".join([*lines, *job.setup, "set -euo pipefail", "", ""])


def _file(name: str) -> str:
    """Write the name of a file so that no command takes it for an option."""
    return f"./{name}" if name.startswith("-") else name


def _words(*words: str) -> str:
    """Write words as a shell reads them."""
    return " ".join(map(shlex.quote, words))


def _beyond(job: BatchJob) -> str:
    """Keep the last group of an odd number of chains from naming chains that there are not."""
    last = job.chains - 1
    return "" if job.chains % GROUP_SIZE == 0 else f"((last <= {last})) || last={last}\n"


_CHAINS = """first=$(({group} * SLURM_ARRAY_TASK_ID))
last=$((first + {group} - 1))
{beyond}
# srun of Slurm 22.05 to 23.02 does not take --cpus-per-task from sbatch. With --resume a task that is run again goes
# on from its checkpoint, and one that has finished ends at once.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    nutmill sample {model} {options} \\
    --chain-ids "$first-$last" --checkpoint "{folder}/chains-$first-$last" --resume &
step=$!

# A minute before the time of the task is over, Slurm sends USR1 to this script: the chains then finish their draw,
# write a checkpoint and end with 3, and the task goes back into the queue.
time_is_over=
trap 'time_is_over=yes; is_cut_short=yes; kill -USR1 "$step"' USR1

# A signal cuts `wait` short, before the step has ended.
is_cut_short=yes
while [[ $is_cut_short ]]; do
    is_cut_short=
    code=0
    wait "$step" || code=$?
done

# 138 is a death by USR1: it came before nutmill could listen, and what is on disk is whole all the same.
if ((code == 3 || code == 138)) && [[ $time_is_over ]]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""

_MERGE = """srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    nutmill merge {folder}/chains-*/ {model} --out {folder}/{result}
"""

_SUBMIT = """#!/bin/bash
# Submits the chains, and the job that joins them once all have finished. Written by `nutmill sbatch`.
#
#     bash {folder}/submit.sh
#
# Run it again after a failure: chains go on from their checkpoints.
set -euo pipefail
cd "$(dirname "${{BASH_SOURCE[0]}}")/{start}"

chains=$(sbatch --parsable {folder}/chains.sbatch)
# On a federation of clusters the name of one follows the number.
chains=${{chains%%;*}}
merge=$(sbatch --parsable --dependency="afterok:$chains" --kill-on-invalid-dep=yes {folder}/merge.sbatch)
echo "Job $chains samples, then job ${{merge%%;*}} joins the chains into {folder}/{result}."
"""
