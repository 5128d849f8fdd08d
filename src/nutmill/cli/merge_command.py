"""`nutmill merge`: joins runs of parts of the chains into one result."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from nutmill.cli import model_file, options
from nutmill.cli.console import stage
from nutmill.cli.outcome import Wanted, finish
from nutmill.cli.stopping import stoppable

_Parts = Annotated[
    list[Path], typer.Argument(metavar="FOLDER...", help="Runs of parts of the chains: what --checkpoint named.")
]


def merge(
    parts: _Parts,
    *,
    model: options.SameModel = None,
    data: options.Data = None,
    partial: Annotated[bool, typer.Option("--partial", help="Join what there is, also of runs that go on.")] = False,
    out: options.Out = None,
    json: options.Json = False,
    strict: options.Strict = False,
) -> None:
    """Join runs of parts of the chains into one result; all must be there, and be of one run."""
    if out is None:
        raise typer.BadParameter("name the result with --out.")
    if data is not None and model is None:
        raise typer.BadParameter("--data replaces data of a model: name it with --model.")
    wanted = Wanted(out, None, strict, json)
    with stoppable(lambda: "nothing has changed: give the command again."):
        with contextlib.redirect_stdout(sys.stderr):
            wanted.check()
            compiled = None if model is None else model_file.compiled_model(model, data)
            with stage(f"Joining {len(parts)} runs"):
                import nutmill

                how = {"partial": partial, "compute_convergence_checks": False}  # `finish` computes them
                result = nutmill.merge(parts, compiled, **how)
        finish(result, wanted)
