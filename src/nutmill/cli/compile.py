"""`nutmill compile`: a model as one file, which runs without PyMC and is not compiled again."""

import contextlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nutmill.cli import model_file, options
from nutmill.cli.console import print_json
from nutmill.units import size


class Processors(StrEnum):
    """Those that the code is for: this machine's, or all of a level of x86-64."""

    native = "native"
    v1 = "x86-64"
    v2 = "x86-64-v2"
    v3 = "x86-64-v3"
    v4 = "x86-64-v4"


class DensityPrecision(StrEnum):
    """In which the log density is evaluated."""

    double = "float64"
    single = "float32"


class Lowering(StrEnum):
    """Whose forms of operations are compiled."""

    nutmill = "nutmill"
    numba = "numba"


def _saved(path: Path) -> Path:
    if path.suffix != model_file.SAVED:
        raise typer.BadParameter(f"a compiled model is a file {model_file.SAVED}, not {path.name!r}.")
    options.in_a_folder(path)
    return path


_Out = Annotated[Path, typer.Option(callback=_saved, metavar="MODEL.NUT", help="The file.")]
_Target = Annotated[
    Processors, typer.Option(help="Processors that the code is for; a level, such as v3 (AVX2), for mixed nodes.")
]
_Dtype = Annotated[DensityPrecision, typer.Option(help="Of log density and gradient; draws are float64.")]
_Lowering = Annotated[
    Lowering, typer.Option(help="Forms of operations: nutmill's own where it has one, or PyTensor's for Numba alone.")
]
_NoData = Annotated[bool, typer.Option("--no-data", help="Leave the data out; --data gives them when it is sampled.")]


def compile_(
    model: options.Model,
    *,
    out: _Out,
    target: _Target = Processors.native,
    dtype: _Dtype = DensityPrecision.double,
    lowering: _Lowering = Lowering.nutmill,
    no_data: _NoData = False,
    json: options.Json = False,
) -> None:
    """Compile a model into a file that every other command takes in its place."""
    with contextlib.redirect_stdout(sys.stderr):
        compiled = model_file.compiled_model(model, target=target.value, dtype=dtype.value, lowering=lowering.value)
        compiled.save(out, data=not no_data)
    if json:
        print_json({"model": str(out), "n_dim": compiled.n_dim, "n_bytes": out.stat().st_size})
    else:
        print(f"{out}: {compiled.n_dim} unconstrained values, {size(out.stat().st_size)}.")
