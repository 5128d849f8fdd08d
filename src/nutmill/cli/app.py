"""The command `nutmill`: its commands, and how an error reads."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nutmill.cli import cache, diagnose, exits, sbatch, topology, tune
from nutmill.errors import NutmillError

app = typer.Typer(
    name="nutmill",
    help="Sample PyMC models with NUTS at machine speed on CPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("topology")(topology.topology)
app.command("tune")(tune.tune)
app.command("diagnose", epilog=exits.epilog(exits.JUDGES))(diagnose.diagnose)
app.command("sbatch", epilog=exits.epilog(exits.ALWAYS))(sbatch.sbatch)
app.add_typer(cache.app, name="cache")


def _print_version(wanted: bool) -> None:
    if wanted:
        import nutmill

        print(f"nutmill {nutmill.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sample PyMC models with NUTS at machine speed on CPUs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits with 0, with 1 after an error of one sentence, with 2 after a wrong command line."""
    try:
        app(args=arguments if arguments is None else list(arguments), prog_name="nutmill")
    except NutmillError as error:
        print(f"nutmill: {error}", file=sys.stderr)
        sys.exit(1)
