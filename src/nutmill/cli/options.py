"""The options of the commands, and how what the user types becomes a value: 1h30m, 0-3,8-11, ess=400."""

import itertools
import math
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

from nutmill.cli import model_file

_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SPELLING_OF_DURATION = re.compile("".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _UNITS_S))
# More than any cluster runs; a slip such as 0-99999999 should not fill the memory.
_MAX_CHAINS = 1_000_000

TARGETS = ("ess", "ess_tail", "rhat", "mcse")


def read_seconds(text: str) -> float:
    """Read a duration: ``90`` (seconds), ``45s``, ``1h30m``, ``2d``; raises ValueError with what is wrong with it."""
    typed = text.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", typed):
        typed += "s"
    parts = _SPELLING_OF_DURATION.fullmatch(typed)
    total_s = 0.0
    if parts is not None:
        pairs = zip(parts.groups(), _UNITS_S.values(), strict=True)
        total_s = sum(float(number) * unit_s for number, unit_s in pairs if number is not None)
    if not 0.0 < total_s < math.inf:
        raise ValueError(f"a duration is given as 90s, 45m, 1h30m or 2d, and is longer than nothing; not {text!r}.")
    return total_s


def read_chain_ids(text: str) -> list[int]:
    """Read ids and ranges of ids, such as ``0-3,8-11,15``: increasing; raises ValueError with what is wrong."""
    ids: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if found is None:
            raise ValueError(f"chain ids are given as 4-7 or 0-3,8-11, not {text!r}.")
        first, last = int(found[1]), int(found[2] or found[1])
        if last - first >= _MAX_CHAINS:
            raise ValueError(f"{part.strip()} are more chains than {_MAX_CHAINS}.")
        ids += range(first, last + 1)
        if last < first:
            raise ValueError(f"the range {part.strip()} ends before it begins.")
    if any(later <= earlier for earlier, later in itertools.pairwise(ids)):
        raise ValueError(f"chain ids increase, and none comes twice; not {text!r}.")
    return ids


def read_targets(text: str) -> dict[str, float]:
    """Read targets such as ``ess=400,rhat=1.01``; raises ValueError with what is wrong with them."""
    wanted: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or name not in TARGETS or name in wanted:
            raise ValueError(
                f"targets are given as ess=400,rhat=1.01, each once, of {', '.join(TARGETS)}: {text!r} is not."
            )
        wanted[name] = _number(name, number)
    return wanted


def _number(name: str, text: str) -> float:
    least = 1.0 if name == "rhat" else 0.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least < value < math.inf:
        raise ValueError(f"{name} is a number above {least:g}, not {text!r}.")
    return value


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


def checked_out(path: Path | None) -> Path | None:
    """Refuse a result that is neither netCDF nor Zarr."""
    if path is not None and path.suffix not in (".nc", ".zarr"):
        raise typer.BadParameter(f"a result is a file .nc or a folder .zarr, not {path.name!r}.")
    return path


class MetricForm(StrEnum):
    """Forms of the metric."""

    AUTO = "auto"
    DIAG = "diag"


class CentringForm(StrEnum):
    """Who chooses the coordinates of hierarchies."""

    AUTO = "auto"
    OFF = "off"


class StartsForm(StrEnum):
    """Where chains start."""

    JITTER = "jitter"
    PRIOR = "prior"


class NamedChains(NamedTuple):
    """Chains that the user names; Typer takes a bare list for an option that may be repeated."""

    ids: list[int]


def _acceptance(rate: float) -> float:
    if not 0.0 < rate < 1.0:
        raise typer.BadParameter(f"it lies between 0 and 1, and {rate:g} does not.")
    return rate


def _positive_budget(seconds: float) -> float:
    if not 0.0 < seconds < math.inf:
        raise typer.BadParameter("the budget is a positive number of seconds.")
    return seconds


def layout_source(text: str) -> str:
    """Read where a layout comes from: "auto", "none", or the path of a profile."""
    if text not in ("auto", "none") and not Path(text).is_file():
        raise typer.BadParameter(
            f'a layout is "auto", "none", or a file that `nutmill tune --profile` wrote, not {text}.'
        )
    return text


_DURATION = {"parser": typed(read_seconds), "metavar": "DURATION"}

Model = Annotated[
    model_file.ModelPlace,
    typer.Argument(
        parser=typed(model_file.parse),
        metavar="FILE.PY:NAME",
        help="A pm.Model, a function without arguments that returns one, or a CompiledModel; or model.nut, a file that "
        "`nutmill compile` wrote.",
    ),
]
SameModel = Annotated[
    model_file.ModelPlace | None,
    typer.Option(
        "--model",
        parser=typed(model_file.parse),
        metavar="FILE.PY:NAME",
        help="The model, which must be the same as before. Default: what lies in the folder.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 4 if something says not to trust the draws yet.")]

Draws = Annotated[int, typer.Option(min=1, help="Draws to keep of each chain.")]
Tune = Annotated[int | None, typer.Option(min=0, help="Draws of warmup. Default: until the chains agree.")]
Seed = Annotated[int | None, typer.Option(min=0, help="The same seed gives the same draws.")]
TargetAccept = Annotated[
    float, typer.Option(callback=_acceptance, help="Acceptance rate that the step size aims for, between 0 and 1.")
]
Metric = Annotated[
    MetricForm, typer.Option(help="A diagonal and the directions that draws confirm, or the diagonal alone.")
]
Centring = Annotated[
    CentringForm, typer.Option(help="Hierarchies in coordinates that warmup chooses, or off: as the model is written.")
]
Starts = Annotated[
    StartsForm, typer.Option(help="Chains start beside one point, or each at its own draw from the prior.")
]
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
ChainIds = Annotated[
    NamedChains | None,
    typer.Option(
        parser=typed(lambda text: NamedChains(read_chain_ids(text))),
        metavar="IDS",
        help="Sample only these chains of the run, such as 4-7: whole groups of four. `nutmill merge` joins parts.",
    ),
]
MaxTime = Annotated[float | None, typer.Option(help="Stop after this time, such as 1h30m.", **_DURATION)]
Until = Annotated[
    dict[str, float] | None,
    typer.Option(
        parser=typed(read_targets),
        metavar="TARGETS",
        help="Stop when draws are good enough, such as ess=400,rhat=1.01; judged at fixed numbers of draws.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, metavar="FILE.NPZ", help="Arrays that replace data of the model, by name."
    ),
]


def result_option(more: str = "") -> Any:
    """Make the option that names the file of a result."""
    return typer.Option(
        "--out", callback=checked_out, metavar="FILE", help=f"The result: draws.nc or draws.zarr. {more}".rstrip()
    )


def own_file(path: Path) -> Path:
    """Give the file of a result that nobody has named; one that is there may be the only copy of a long run."""
    if path.exists():
        raise typer.BadParameter(
            f"{path} is there already: name another file with --out, or write --out {path} to replace it."
        )
    return path


Out = Annotated[Path | None, result_option()]
Budget = Annotated[float, typer.Option(callback=_positive_budget, help="Seconds that measuring may take.")]
Cores = Annotated[int | None, typer.Option(min=1, help="Chains at once, with one BLAS thread each.")]
