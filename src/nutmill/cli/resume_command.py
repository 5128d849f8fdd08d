"""`nutmill resume`: goes on with a run that was stopped or killed, or takes more draws of one that has ended."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nutmill.cli import model_file, options
from nutmill.cli.outcome import Wanted, finish
from nutmill.cli.run_folders import how_to_go_on
from nutmill.cli.stopping import stoppable

_Run = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the run: what --checkpoint named.")]
_Draws = Annotated[int | None, typer.Option(min=1, help="Draws to keep of each chain. Default: as before.")]


def resume(
    run: _Run,
    *,
    model: options.SameModel = None,
    draws: _Draws = None,
    max_time: options.MaxTime = None,
    until: options.Until = None,
    every: options.Every = None,
    layout: options.LayoutSource = "auto",
    cores: options.Cores = None,
    data: options.Data = None,
    out: options.Out = None,
    json: options.Json = False,
    strict: options.Strict = False,
) -> None:
    """Go on with a run, to the draws that it would have made without a stop."""
    if data is not None and model is None:
        raise typer.BadParameter("--data replaces data of a model: name it with --model.")
    wanted = Wanted(out, run, strict, json)
    given: dict[str, Any] = {} if every is None else {"every": every}
    with stoppable(lambda: how_to_go_on(run)):
        with contextlib.redirect_stdout(sys.stderr):
            wanted.check()
            import nutmill

            result = nutmill.resume(
                run,
                None if model is None else model_file.compiled_model(model, data),
                draws=draws,
                max_time=max_time,
                until=until,
                cores=cores,
                layout=None if layout == "none" else layout,
                compute_convergence_checks=False,  # `finish` does
                **given,
            )
        finish(result, wanted)
