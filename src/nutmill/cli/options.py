"""Options that several commands have, and how what the user types becomes a value."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from nutmill.cli import model_file, values

T = TypeVar("T")


def typed(read: Callable[[str], T]) -> Callable[[str], T]:
    """Turn the ValueError of a reader into a wrong command line."""

    def parse(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parse


def in_a_folder(path: Path | None) -> Path | None:
    """Refuse a file that could not be written in the end."""
    if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise typer.BadParameter(f"{path} is a folder." if path.is_dir() else f"there is no folder {path.parent}.")
    return path


def layout_source(text: str) -> str:
    """Read where a layout comes from: "auto", "none", or the path of a profile."""
    if text not in ("auto", "none") and not Path(text).is_file():
        raise typer.BadParameter(
            f'a layout is "auto", "none", or a file that `nutmill tune --profile` wrote, not {text}.'
        )
    return text


_DURATION = {"parser": typed(values.seconds), "metavar": "DURATION"}

Model = Annotated[
    model_file.Place,
    typer.Argument(
        parser=typed(model_file.parse),
        metavar="FILE.PY:NAME",
        help="A pm.Model, a function without arguments that returns one, or a CompiledModel.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 4 if something says not to trust the draws yet.")]

Draws = Annotated[int, typer.Option(min=1, help="Draws to keep of each chain.")]
Tune = Annotated[int | None, typer.Option(min=0, help="Draws of warmup. Default: until the chains agree.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The same seed gives the same draws.")]
TargetAccept = Annotated[float, typer.Option(help="Acceptance rate that the step size aims for.")]
MaxTreedepth = Annotated[int, typer.Option(min=1, max=20, help="A trajectory has at most 2 to this power steps.")]
Every = Annotated[
    float | None, typer.Option(help="Time between two checkpoints, such as 5m. Default: 60s.", **_DURATION)
]
LayoutSource = Annotated[
    str,
    typer.Option(
        parser=layout_source,
        metavar="auto|none|FILE",
        help="Chains at once and BLAS threads: the stored profile of this model on this machine, one BLAS thread a "
        "chain, or what `nutmill tune --profile FILE` found.",
    ),
]
TimeLimit = Annotated[float | None, typer.Option("--time", help="Of each task: 4h, 2d12h.", **_DURATION)]
