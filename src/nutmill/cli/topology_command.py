"""`nutmill topology`: what this process may use of the machine, and where each number was read."""

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nutmill.cli.console import print_json, stdout_console
from nutmill.cli.options import Json

if TYPE_CHECKING:  # it imports NumPy, which the machine's numbers do not need
    from nutmill.layout.blas.find import BlasLibrary, BlasSurvey


def topology(
    *,
    json: Json = False,
    blas: Annotated[
        bool | None,
        typer.Option("--blas/--no-blas", help="Find, try and load the BLAS libraries too; by default, without --root."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, metavar="DIR", help="Read a recorded machine: a folder with its proc and sys."
        ),
    ] = None,
) -> None:
    """Show what this process may use of the machine, and what bounds it."""
    from nutmill.layout.machine import words as description
    from nutmill.layout.machine.topology import topology as read

    if blas and root is not None:
        raise typer.BadParameter("a recorded machine has no libraries to load: leave out --blas or --root.")
    found = read(root or "/")
    survey = _survey() if blas is not False and root is None else None
    if json:
        libraries = {} if survey is None else {"blas": _survey_as_dict(survey)}
        print_json(found.as_dict() | libraries)
        return
    for what, value, source in description.lines(found):
        _print_fact(f"{what:<22} {value}", source)
    if survey is not None:
        _print_survey(survey)


def _survey() -> "BlasSurvey":
    from nutmill.layout.blas.find import survey_blas  # loads SciPy

    return survey_blas()


def _survey_as_dict(survey: "BlasSurvey") -> dict:
    libraries = [_library(library) for library in survey.libraries]
    return {"libraries": libraries, "left_out": list(survey.left_out), "wide": list(survey.wide)}


def _library(library: "BlasLibrary") -> dict:
    from nutmill.layout.blas.find import name_of

    facts = {name: getattr(library, name) for name in ("integer_bits", "max_threads", "can_limit")}
    return library.as_dict() | facts | {"as": name_of(library), "notes": list(library.notes)}


def _print_survey(survey: "BlasSurvey") -> None:
    print()
    libraries = [_library(library) for library in survey.libraries] + list(survey.wide)
    for facts in libraries:
        _print_fact(_in_words(facts), f"{facts['origin']}: {facts['path']}")
    if not libraries:
        print("No BLAS was found.")
    for sentence in (*(note for library in survey.libraries for note in library.notes), *survey.left_out):
        stdout_console().print(sentence, markup=False)
    if survey.wide:
        print("Compiled code cannot call those with 64-bit integers (ILP64).")
    for name, kind in (("OPENBLAS_CORETYPE", "OpenBLAS"), ("MKL_ENABLE_INSTRUCTIONS", "MKL")):
        if value := os.environ.get(name):
            print(f"{name}={value} is set, so that {kind} may run code of another processor than it would choose.")


def _in_words(facts: Mapping[str, Any]) -> str:
    most = "an unknown number of" if facts["max_threads"] is None else facts["max_threads"]
    return (
        f"{facts['name']} {facts['version'] or 'of unknown version'}: runs as {facts['architecture'] or 'unknown'}, "
        f"integers of {facts['integer_bits']} bits, at most {most} threads ({facts['layer']}), "
        f"{'can' if facts['can_limit'] else 'cannot'} be limited"
    )


def _print_fact(fact: str, source: str) -> None:
    """Print a fact, and beneath it what it is known from; paths stay whole, so that they can be copied."""
    from rich.text import Text

    console = stdout_console()
    for text, indent, style in ((fact, "", "bold"), (source, "    ", "dim")):
        wrapped = textwrap.wrap(
            text,
            console.width,
            initial_indent=indent,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in wrapped:
            console.print(Text(line, style=style), soft_wrap=True)
