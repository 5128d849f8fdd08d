"""The command `nutmill`: its commands, and how an error reads."""

import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nutmill.cli import (
    cache_command,
    compare,
    compile,
    diagnose,
    explain,
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
from nutmill.errors import NutmillError
from nutmill.progress.stderr import say

app = typer.Typer(
    name="nutmill",
    help="Sample PyMC models with NUTS at machine speed on CPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("sample", epilog=outcome.epilog(outcome.STOPPABLE))(sample_command.sample)
app.command("resume", epilog=outcome.epilog(outcome.STOPPABLE))(resume_command.resume)
app.command("status", epilog=outcome.epilog(outcome.ALWAYS))(status_command.status)
app.command("merge", epilog=outcome.epilog(outcome.STOPPABLE))(merge_command.merge)
app.command("compile", epilog=outcome.epilog(outcome.ALWAYS))(compile.compile_)
app.command("diagnose", epilog=outcome.epilog(outcome.JUDGES))(diagnose.diagnose)
app.command("tune", epilog=outcome.epilog(outcome.ALWAYS))(tune.tune)
app.command("compare", epilog=outcome.epilog(outcome.ALWAYS))(compare.compare)
app.command("explain", epilog=outcome.epilog(outcome.ALWAYS))(explain.explain)
app.command("topology", epilog=outcome.epilog(outcome.ALWAYS))(topology_command.topology)
app.command("sbatch", epilog=outcome.epilog(outcome.ALWAYS))(sbatch.sbatch)
app.add_typer(cache_command.app, name="cache")


def _print_version(wanted: bool) -> None:
    if wanted:
        import nutmill

        print(f"nutmill {nutmill.__version__}")
        raise typer.Exit


# What typer makes of KeyboardInterrupt: what shells give a process that SIGINT has ended.
_BY_CTRL_C = 128 + signal.SIGINT
# What can be gone on with after a signal; other commands end by it.
_STOPPABLE = {"sample", "resume", "merge"}


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sample PyMC models with NUTS at machine speed on CPUs."""
    if context.invoked_subcommand not in _STOPPABLE:
        stopping.let_go()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; it exits with a code of `outcome.Exit`, with 1 after an error of one sentence, 130 by Ctrl-C."""
    try:
        app(args=arguments if arguments is None else list(arguments), prog_name="nutmill")
    except NutmillError as error:
        say(f"nutmill: {error}")
        sys.exit(outcome.Exit.ERROR)
    except SystemExit as end:
        if end.code == _BY_CTRL_C:
            say("nutmill: Stopped by Ctrl-C.")
        raise
