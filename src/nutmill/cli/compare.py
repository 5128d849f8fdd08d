"""`nutmill compare`: every sampler on one model, side by side."""

import contextlib
import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nutmill.cli import options
from nutmill.cli.console import print_json, stdout_console
from nutmill.cli.stopping import tidied
from nutmill.errors import ModelError, NutmillError
from nutmill.progress.stderr import say

if TYPE_CHECKING:
    from nutmill.comparison.comparison import Comparison

_Samplers = Annotated[
    list[str] | None,
    typer.Option("--sampler", metavar="NAME", help="Run this one. May be repeated. Default: all that are installed."),
]
_Limit = Annotated[
    float, typer.Option(parser=options.typed(options.read_seconds), metavar="DURATION", help="Of one run.")
]
_STAN = "Run Stan too, on this program of the same model, with the data in the file of that name in .json."
_File = {"dir_okay": False, "metavar": "FILE", "callback": options.in_a_folder}


def compare(
    model: options.Model,
    *,
    sampler: _Samplers = None,
    draws: options.Draws = 1000,
    chains: Annotated[int, typer.Option(min=2, help="Chains of every run.")] = 4,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores of every run. Default: all there are.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of every sampler, the first on a model new to it.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the first runs; others count on from it.")] = 1,
    limit: _Limit = "10m",  # type: ignore[assignment]  # Typer reads it as if it were typed
    stan: Annotated[Path | None, typer.Option(help=_STAN, dir_okay=False, metavar="FILE")] = None,
    json: options.Json = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.", **_File)] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON document to this file too.", **_File)] = None,
) -> None:
    """Sample a model with nutmill, nutpie, PyMC, NumPyro, BlackJAX and Stan; say what each one costs and gives."""
    if model.name is None:
        raise ModelError(f"Other samplers cannot run {model.path}, which is compiled: name the PyMC model.")
    with contextlib.redirect_stdout(sys.stderr):
        from nutmill.cli import compare_cell
        from nutmill.comparison.comparing import compare_source, usable_cores
        from nutmill.comparison.rounds import ComparedModel, ComparisonSettings

        place = {"file": str(model.path.resolve()), "name": model.name}
        # A file that has no model says so now, and not once every sampler has been made ready for it.
        compare_cell.load(place)
        source = ComparedModel("nutmill.cli.compare_cell", place, None if stan is None else str(stan.resolve()))
        settings = ComparisonSettings((), draws, chains, usable_cores(cores), repeats, seed, limit)
        with tidied():
            found = compare_source(source, str(model), settings, sampler, say)
    _write_files(found, html, out)
    if json:
        print_json(found.as_dict())
    else:
        _print(found)


def _write_files(found: "Comparison", html: Path | None, out: Path | None) -> None:
    try:
        if html is not None:
            found.to_html(html)
        if out is not None:
            out.write_text(json_text.dumps(found.as_dict(), indent=1) + "\n")
    except OSError as error:
        raise NutmillError(f"{error.filename} cannot be written: {error.strerror}.") from error


def _print(found: "Comparison") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    for each in found.tables:
        # A frame would take what 80 columns need for names.
        table = Table(title=Text(each.title), box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for head in each.heads:
            is_name, is_text = head == "sampler", head.startswith("BLAS")
            justify: Literal["left", "right"] = "left" if is_name or is_text else "right"
            table.add_column(head, justify=justify, no_wrap=is_name, overflow="fold")
        for row in each.rows:
            table.add_row(*map(Text, row), style="bold" if row[0] == "nutmill" else None)
        console.print(table)
        console.print()
    for sentence in found.sentences:
        console.print(Text(sentence))
