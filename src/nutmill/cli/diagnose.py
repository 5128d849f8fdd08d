"""`nutmill diagnose`: what ArviZ's diagnostics say of a result, or of runs that may still go on."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from nutmill.cli import model_file, options
from nutmill.cli.console import print_json
from nutmill.cli.outcome import code_of
from nutmill.cli.run_folders import runs_in

_Path = Annotated[
    Path, typer.Argument(metavar="RESULT", help="draws.nc, draws.zarr, the folder of a run, or one of such folders.")
]


def diagnose(
    path: _Path,
    *,
    model: options.SameModel = None,
    data: options.Data = None,
    json: options.Json = False,
    strict: options.Strict = False,
) -> None:
    """Say what R-hat, effective sample sizes, divergences and the like tell of draws."""
    with contextlib.redirect_stdout(sys.stderr):
        from nutmill.diagnosis.verdict import judge
        from nutmill.results.storage import SUFFIXES, load

        if path.suffix in SUFFIXES:
            result = load(path)
        else:
            import nutmill

            compiled = None if model is None else model_file.compiled_model(model, data)
            result = nutmill.merge(runs_in(path), compiled, partial=True, compute_convergence_checks=False)
        verdict = judge(result)
    if json:
        print_json({"result": str(path)} | verdict.as_dict())
    else:
        print("\n".join(verdict.lines()))
    raise typer.Exit(code_of(verdict.is_doubtful, strict=strict))
