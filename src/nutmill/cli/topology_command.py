"""`nutmill topology`: what this process may use of the machine, and where each number was read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nutmill.cli.console import print_json, stdout_console
from nutmill.cli.options import Json

if TYPE_CHECKING:  # it imports NumPy, which the machine's numbers do not need
    from nutmill.layout.blas.find import BlasLibrary, BlasSurvey


def topology(
    *,
    json: Json = False,
    blas: Annotated[bool, typer.Option("--blas", help="Find and load the BLAS libraries too.")] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, metavar="DIR", help="Read a recorded machine: a folder with its proc and sys."
        ),
    ] = None,
) -> None:
    """Show what this process may use of the machine, and what bound it."""
    from nutmill.layout.machine import words as description
    from nutmill.layout.machine.topology import topology as read

    if blas and root is not None:
        raise typer.BadParameter("a recorded machine has no libraries to load: leave out --blas or --root.")
    found = read(root or "/")
    survey = _survey() if blas else None
    if json:
        libraries = {} if survey is None else {"blas": _survey_as_dict(survey)}
        print_json(found.as_dict() | libraries)
        return
    _print_table(("what", "value", "where it was read, what bound it"), description.lines(found))
    if survey is not None:
        _print_survey(survey)


def _survey() -> "BlasSurvey":
    from nutmill.layout.blas.find import survey_blas  # loads SciPy

    return survey_blas()


def _survey_as_dict(survey: "BlasSurvey") -> dict:
    return {"libraries": [_library(library) for library in survey.libraries], "left_out": list(survey.left_out)}


def _library(library: "BlasLibrary") -> dict:
    facts = {"max_threads": library.max_threads, "can_limit": library.can_limit, "notes": list(library.notes)}
    return library.as_dict() | facts


def _print_survey(survey: "BlasSurvey") -> None:
    rows = [
        (
            library.name,
            library.version or "unknown",
            library.layer,
            "unknown" if library.max_threads is None else str(library.max_threads),
            "yes" if library.can_limit else "no",
            f"{library.origin}: {library.path}",
        )
        for library in survey.libraries
    ]
    heads = ("BLAS", "version", "threads by", "at most", "can be limited", "where")
    if rows:
        _print_table(heads, rows)
    else:
        print("No BLAS was found.")
    for sentence in (*(note for library in survey.libraries for note in library.notes), *survey.left_out):
        stdout_console().print(sentence, markup=False)


def _print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for head in heads:
        table.add_column(head, overflow="fold")
    for first, *rest in rows:
        table.add_row(Text(first, style="bold"), *map(Text, rest))
    stdout_console().print(table)
