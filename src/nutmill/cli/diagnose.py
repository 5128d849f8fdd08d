"""`nutmill diagnose`: what ArviZ's diagnostics say of a result, or of a run that is not over."""

from pathlib import Path
from typing import Annotated

import typer

from nutmill.cli.console import print_json
from nutmill.cli.options import Json, Strict


def diagnose(
    path: Annotated[Path, typer.Argument(metavar="RESULT", help="A result: draws.nc or draws.zarr.")],
    *,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """Say what R-hat, effective sample sizes, divergences and the like tell of a result."""
    from nutmill.cli.verdict import judge
    from nutmill.result_file import load

    verdict = judge(load(path))
    if json:
        print_json({"result": str(path)} | verdict.as_dict())
    else:
        print("\n".join(verdict.lines()))
    raise typer.Exit(verdict.exit_code(strict=strict))
