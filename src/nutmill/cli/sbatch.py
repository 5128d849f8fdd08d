"""`nutmill sbatch`: writes the scripts that sample many chains in an array of Slurm jobs and join them."""

import contextlib
import json as json_text
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from nutmill.cli import job_layout, options
from nutmill.cli.console import print_json
from nutmill.cli.job_scripts import LAYOUT, SUBMIT, BatchJob, scripts
from nutmill.errors import NutmillError

# What the scripts rely on is not for others to say.
_OWN = {
    "array",
    "chdir",
    "cpus-per-task",
    "dependency",
    "hint",
    "job-name",
    "nodes",
    "ntasks",
    "open-mode",
    "output",
} | {"parsable", "partition", "requeue", "signal", "time", "wait", "wrap"}


def read_option(text: str) -> str:
    """Read ``account=me`` or ``exclusive``; raises ValueError with what is wrong, as all readers here."""
    if not re.fullmatch(r"[a-z][a-z-]*(=[^\s#]+)?", text):
        raise ValueError(f"an option of sbatch is given as account=me or exclusive, not {text!r}.")
    if (name := text.partition("=")[0]) in _OWN:
        raise ValueError(f"nutmill sets --{name} itself, or has an option for it.")
    return f"--{text}"


def read_partition(text: str) -> str:
    """Read the name of a partition, or several with commas between them."""
    if not re.fullmatch(r"[\w.,-]+", text):
        raise ValueError(f"{text!r} is no name of a partition.")
    return text


def read_folder(text: str) -> Path:
    """Read the name of a folder."""
    # Slurm reads % as a pattern, and splits a line of options at blanks.
    if not re.fullmatch(r"[\w./+-]+", text) or text.startswith("-"):
        raise ValueError(f"the name of the folder is made of letters, digits and . _ - + /, not {text!r}.")
    return Path(text)


def read_result(text: str) -> str:
    """Read the name of a result."""
    if not re.fullmatch(r"\w[\w.+-]*\.(nc|zarr)", text):
        raise ValueError(f"the result is called result.nc, result.zarr or the like, not {text!r}.")
    return text


def check_file(text: str) -> None:
    """Refuse the name of a file that a line of a script does not hold as it is, or that does other things there."""
    if not text.isprintable():
        raise ValueError(f"the name of a file in a job script has no line breaks or other such characters: {text!r}.")


def read_shell_line(text: str) -> str:
    """Read a line of shell."""
    if "\n" in text or not text.strip():
        raise ValueError("a line of shell is one line, and not empty.")
    return text


_Nodes = Annotated[int | None, typer.Option(min=1, help="Use at most as many cores at once as this many nodes have.")]
_CpusPerNode = Annotated[int | None, typer.Option(min=1, help="Cores of a node. Default: what sinfo says.")]
_CpusPerTask = Annotated[int | None, typer.Option(min=1, help="Cores of a task. Default: what its layout can use.")]
_Partition = Annotated[
    str | None, typer.Option(parser=options.typed(read_partition), metavar="NAME", help="Of the cluster.")
]
_Option = Annotated[
    list[str] | None,
    typer.Option(
        parser=options.typed(read_option),
        metavar="NAME=VALUE",
        help="Another option of sbatch, such as account=me. May be repeated.",
    ),
]
_Setup = Annotated[
    list[str] | None,
    typer.Option(
        parser=options.typed(read_shell_line),
        metavar="LINE",
        help="A line of shell that each job begins with. May be repeated.",
    ),
]
_Folder = Annotated[
    Path,
    typer.Option(
        parser=options.typed(read_folder),
        metavar="FOLDER",
        help="Where scripts, logs, checkpoints and the result go.",
    ),
]
_Result = Annotated[
    str,
    typer.Option(parser=options.typed(read_result), metavar="NAME", help="Of the result in it: NAME.nc or NAME.zarr."),
]


def sbatch(
    model: options.Model,
    *,
    chains: Annotated[int, typer.Option(min=1, help="Chains of the whole job.")],
    nodes: _Nodes = None,
    cpus_per_node: _CpusPerNode = None,
    cpus_per_task: _CpusPerTask = None,
    time: options.TimeLimit = None,
    partition: _Partition = None,
    option: _Option = None,
    setup: _Setup = None,
    layout: options.LayoutSource = "auto",
    data: options.Data = None,
    draws: options.Draws = 1000,
    tune: options.Tune = None,
    seed: options.Seed = None,
    target_accept: options.TargetAccept = 0.8,
    max_treedepth: options.MaxTreedepth = 10,
    metric: options.Metric = options.MetricForm.AUTO,
    centring: options.Centring = options.CentringForm.AUTO,
    starts: options.Starts = options.StartsForm.JITTER,
    every: options.Every = None,
    to: _Folder = "run",  # type: ignore[assignment]  # Typer reads it as if it were typed
    result: _Result = "result.nc",
    json: options.Json = False,
) -> None:
    """Write an array of Slurm jobs, each a group of four chains, and a job that joins them into one result."""
    _check_files(model, data)
    with contextlib.redirect_stdout(sys.stderr):
        chosen = job_layout.choose(layout, model, chains, data)
    cpus = cpus_per_task or chosen.cpus
    sampling = {
        "--draws": draws,
        "--tune": tune,
        # The tasks share one, whether the user cares which or not.
        "--seed": secrets.randbits(31) if seed is None else seed,
        "--target-accept": target_accept,
        "--max-treedepth": max_treedepth,
        "--metric": None if metric is options.MetricForm.AUTO else metric,
        "--centring": None if centring is options.CentringForm.AUTO else centring,
        "--starts": None if starts is options.StartsForm.JITTER else starts,
        "--every": None if every is None else f"{every:g}s",
        **({"--cores": cpus} if chosen.profile is None else {"--layout": to / LAYOUT}),
    }
    job = BatchJob(
        model=str(model),
        data=data,
        chains=chains,
        folder=to,
        cpus=cpus,
        at_once=None if nodes is None else nodes * max(1, (cpus_per_node or _node_cpus(partition)) // cpus),
        sampling=tuple(str(part) for pair in sampling.items() if pair[1] is not None for part in pair),
        result=result,
        limit_s=time,
        directives=((f"--partition={partition}",) if partition else ()) + tuple(option or ()),
        setup=tuple(setup or ()),
    )
    profile = {} if chosen.profile is None else {LAYOUT: json_text.dumps(chosen.profile.as_dict(), indent=1)}
    write(to, scripts(job) | profile)
    _print_job(job, chosen, as_json=json)


def _check_files(model: options.Model, data: Path | None) -> None:
    try:
        for file in (model, *([] if data is None else [data])):
            check_file(str(file))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write files into a folder that holds no other job.

    Raises NutmillError if it does, or cannot be written; then nothing has changed.
    """
    try:
        for name, text in texts.items():
            if (folder / name).exists() and (folder / name).read_text() != text:
                raise NutmillError(f"{folder} holds another job ({name} differs): choose another folder with --to.")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise NutmillError(f"{error.filename} cannot be written: {error.strerror}.") from error


def _node_cpus(partition: str | None) -> int:
    """Ask Slurm for the cores of its smallest node."""
    advice = "say it with --cpus-per-node, or leave out --nodes"
    if shutil.which("sinfo") is None:
        raise NutmillError(f"There is no sinfo here to tell how many cores a node has: {advice}.")
    command = ["sinfo", "--noheader", "--format=%c", *([f"--partition={partition}"] if partition else [])]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return min(int(line.rstrip("+")) for line in answer.stdout.split())
    except (subprocess.SubprocessError, ValueError) as error:
        raise NutmillError(f"sinfo does not tell how many cores a node has: {advice}.") from error


def _print_job(job: BatchJob, chosen: job_layout.Chosen, *, as_json: bool) -> None:
    at_once = job.n_tasks if job.at_once is None else min(job.at_once, job.n_tasks)
    if as_json:
        print_json(
            {
                "folder": str(job.folder),
                "tasks": job.n_tasks,
                "tasks_at_once": at_once,
                "cpus_per_task": job.cpus,
                "layout": None if chosen.profile is None else chosen.profile.layout.as_dict(),
                "sampling": list(job.sampling),
                "submit": ["bash", str(job.folder / SUBMIT)],
                "result": str(job.folder / job.result),
                "note": chosen.note,
            }
        )
        return
    tasks = f"{job.n_tasks} task{'s' * (job.n_tasks > 1)} of {job.cpus} core{'s' * (job.cpus > 1)}"
    print(f"{job.chains} chains in {tasks}, {at_once} at once. To submit them:\n\n    bash {job.folder / SUBMIT}")
    if chosen.note is not None:
        print(f"\n{chosen.note}")
