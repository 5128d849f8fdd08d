"""The command `nutmill`: its commands, and how an error reads."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import typer

from nutmill.cli import (
    cache_command,
    compare,
    compile,
    diagnose,
    explain,
    many_command,
    merge_command,
    outcome,
    resume_command,
    sample_command,
    sbatch,
    status_command,
    stopping,
    topology_command,
    tune,
)
from nutmill.cli.help import INSIGHT, MACHINE, MODEL, HelpfulCommand, HelpfulGroup, epilog
from nutmill.errors import NutmillError
from nutmill.progress.stderr import say

app = typer.Typer(
    name="nutmill",
    cls=HelpfulGroup,
    help="Sample PyMC models with NUTS at machine speed on CPUs. FILE.PY:NAME is a model in a file of Python, such as "
    "model.py:model.",
    epilog="Example:\n\n  nutmill sample model.py:model\n\n`nutmill COMMAND --help` has examples of each.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


class CommandEntry(NamedTuple):
    """A command, the group in which the help lists it, how it ends, and how it is called."""

    name: str
    function: Callable[..., None]
    group: str
    codes: tuple[outcome.Exit, ...]
    examples: tuple[str, ...]


_FOLDER_RUN = "sample model.py:model --checkpoint run/ --until ess=400,rhat=1.01"
COMMANDS = (
    CommandEntry("sample", sample_command.sample, MODEL, outcome.STOPPABLE,
           ("sample model.py:model", "sample model.py:model --draws 2000 --seed 1 --out draws.nc", _FOLDER_RUN)),
    CommandEntry("resume", resume_command.resume, MODEL, outcome.STOPPABLE,
           ("resume run/", "resume run/ --draws 4000 --out draws.nc")),
    CommandEntry("many", many_command.many, MODEL, outcome.STOPPABLE,
           ("many model.py:model sales.csv --by shop", "many model.py:model sales.parquet --by shop --out shops.zarr")),
    CommandEntry("status", status_command.status, MODEL, outcome.ALWAYS, ("status run/", "status runs/ --watch")),
    CommandEntry("diagnose", diagnose.diagnose, MODEL, outcome.JUDGES, ("diagnose draws.nc", "diagnose run/ --strict")),
    CommandEntry("merge", merge_command.merge, MODEL, outcome.STOPPABLE, ("merge part0/ part1/ --out draws.nc",)),
    CommandEntry("compile", compile.compile_, MODEL, outcome.ALWAYS,
           ("compile model.py:model --out model.nut", "compile model.py:model --out model.nut --target x86-64-v3")),
    CommandEntry("tune", tune.tune, MACHINE, outcome.ALWAYS,
           ("tune model.py:model", "tune model.py:model --chains 8 --png heat.png --profile layout.json")),
    CommandEntry("topology", topology_command.topology, MACHINE, outcome.ALWAYS, ("topology", "topology --blas")),
    CommandEntry("sbatch", sbatch.sbatch, MACHINE, outcome.ALWAYS, ("sbatch model.py:model --chains 64 --nodes 4",)),
    CommandEntry("compare", compare.compare, INSIGHT, outcome.ALWAYS,
           ("compare model.py:model --html page.html", "compare model.py:model --sampler nutmill --sampler nutpie")),
    CommandEntry("explain", explain.explain, INSIGHT, outcome.ALWAYS, ("explain model.py:model",)),
)  # fmt: skip
for _one in COMMANDS:
    app.command(_one.name, cls=HelpfulCommand, rich_help_panel=_one.group, epilog=epilog(_one.codes, *_one.examples))(
        _one.function
    )
app.add_typer(cache_command.app, name="cache", cls=HelpfulGroup, rich_help_panel=INSIGHT)


def _print_version(wanted: bool) -> None:
    if wanted:
        import nutmill

        print(f"nutmill {nutmill.__version__}")
        raise typer.Exit


# How writing to a full disk, beyond a limit or to a broken one fails.
_OF_STREAMS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# What typer makes of KeyboardInterrupt: what shells give a process that SIGINT has ended.
_BY_CTRL_C = 128 + signal.SIGINT
# What can be gone on with after a signal; other commands end by it.
_STOPPABLE = {"sample", "resume", "merge", "many"}


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sample PyMC models with NUTS at machine speed on CPUs."""
    if context.invoked_subcommand not in _STOPPABLE:
        stopping.release_signals()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; it exits with a code of `outcome.Exit`, with 1 after an error of one sentence, 130 by Ctrl-C."""
    try:
        app(args=arguments if arguments is None else list(arguments), prog_name="nutmill")
    except NutmillError as error:
        say(f"nutmill: {error}")
        sys.exit(outcome.Exit.ERROR)
    except OSError as error:
        if (what := _without_file(error)) is None:
            raise
        say(f"nutmill: {what}")
        sys.exit(outcome.Exit.ERROR)
    except SystemExit as end:
        if end.code == _BY_CTRL_C:
            say("nutmill: Stopped by Ctrl-C.")
        raise


def _without_file(error: OSError) -> str | None:
    """Say what went wrong where the system names no file: with what is printed, or with the folder that we are in."""
    if error.filename is not None:
        return None
    if error.errno in _OF_STREAMS and sys.__stdout__ is not None:
        # Python would try once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        return f"What this command prints cannot be written ({error.strerror})."
    if error.errno == errno.ENOENT:
        return "The folder that this command runs in was deleted: change to another one."
    return None
