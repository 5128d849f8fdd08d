"""`nutmill many`: one model fitted to each data set of a table, with one compile."""

import contextlib
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nutmill.cli import model_file, options
from nutmill.cli.console import print_json
from nutmill.cli.outcome import code_of
from nutmill.cli.stopping import stoppable
from nutmill.errors import ModelError

if TYPE_CHECKING:
    import xarray as xr

    from nutmill.native.compiled import CompiledModel


class KeptOfFits(StrEnum):
    """What is kept of each fit."""

    SUMMARY = "summary"
    DRAWS = "draws"


_Table = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        metavar="TABLE",
        help="Data: a .csv or .parquet; or a .nc, by xarray.",
    ),
]
_By = Annotated[str, typer.Option(metavar="COLUMN", help="Which data set a row is of; of a .nc: the dimension.")]
_Columns = Annotated[
    str | None, typer.Option(metavar="A,B", help="Columns that are data of the model. Default: all others.")
]
_Keep = Annotated[KeptOfFits, typer.Option(help="Of each fit: summaries of its variables, or draws.")]
_Checkpoint = Annotated[
    Path | None,
    typer.Option(file_okay=False, metavar="FOLDER", help="Keep what is done here; the same command goes on with it."),
]
_Pilot = Annotated[
    int, typer.Option(min=0, metavar="N", help="First try on so many data sets whether a cheaper warmup does as well.")
]
_OUT = "Default: fits.nc. A .zarr grows while fits are made, and takes little memory."
_Fits = Annotated[int | None, typer.Option(min=1, help="Fits at once. Default: as many as there are cores.")]


def many(
    model: options.Model,
    table: _Table,
    *,
    by: _By,
    columns: _Columns = None,
    keep: _Keep = KeptOfFits.SUMMARY,
    draws: options.Draws = 1000,
    tune: options.Tune = None,
    chains: Annotated[int, typer.Option(min=1, help="Chains of each fit.")] = 4,
    seed: options.Seed = None,
    target_accept: options.TargetAccept = 0.8,
    cores: _Fits = None,
    pilot: _Pilot = 0,
    checkpoint: _Checkpoint = None,
    out: Annotated[Path | None, options.result_option(_OUT)] = None,
    json: options.Json = False,
    strict: options.Strict = False,
) -> None:
    """Fit a model to each data set of a table. What looks wrong with a fit stands in its row."""
    import nutmill
    from nutmill.results.storage import ZARR, check_target, save, save_or_rescue

    if out is None:  # with a checkpoint it is made of rows that are kept there
        out = Path("fits.nc") if checkpoint is not None else options.own_file(Path("fits.nc"))
    check_target(out)
    arguments: dict[str, Any] = {
        "keep": str(keep),
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "random_seed": seed,
        "target_accept": target_accept,
        "cores": cores,
        "pilot": pilot,
        "checkpoint": checkpoint,
    }
    if checkpoint is not None and seed is None:
        raise typer.BadParameter("--checkpoint needs a --seed: this command goes on there if it has the same.")
    with stoppable(None if checkpoint is None else lambda: "the same command goes on"):
        with contextlib.redirect_stdout(sys.stderr):
            names = [name.strip() for name in (columns or "").split(",")]
            data = _read(table, by, [name for name in names if name] or None)
            compiled = model_file.compiled_model(model)
            if not columns:
                _check_columns(data, by, compiled)
            if out.suffix == ZARR:
                result = nutmill.sample_many(compiled, data, by=by, to=out, **arguments)
            else:
                result = nutmill.sample_many(compiled, data, by=by, **arguments)
                (save_or_rescue if checkpoint is None else save)(result, out)  # rows in a folder cannot be lost
        _print_fits(result, out, is_json=json, strict=strict)


def _check_columns(data: Any, by: str, compiled: "CompiledModel") -> None:
    """Refuse columns that are no data of the model, and say which option chooses them."""
    names = {array.name for array in compiled.description.arrays}
    there = [str(name) for name in getattr(data, "data_vars", data.columns if hasattr(data, "columns") else ())]
    if strange := [name for name in there if name not in names and name != by]:
        fitting = ",".join(name for name in there if name in names)
        raise ModelError(
            f"The model has no data called {', '.join(strange)}: choose columns by --columns {fitting or 'A,B'}."
        )


def _print_fits(result: "xr.DataTree", out: Path, *, is_json: bool, strict: bool) -> None:
    """Print how many fits there are, and how many failed or are doubtful; end the command."""
    from nutmill.results.trace import group

    fits = group(result, "fits")
    failed, problems = fits["failed"].values, fits["problem"].values
    n_failed, n_doubtful = int(failed.sum()), int(((problems != "") & ~failed).sum())
    if is_json:
        counts = {"n_fits": len(failed), "n_failed": n_failed, "n_doubtful": n_doubtful}
        print_json({"result": str(out), **counts})
    else:
        print(f"{len(failed)} fits, {n_failed} failed, {n_doubtful} doubtful. Result: {out}")
        if n_failed:
            first = int(failed.argmax())
            print(f"The first that failed is {fits['dataset'].values[first]}: {problems[first]}")
    raise typer.Exit(code_of(n_failed + n_doubtful > 0, strict=strict))


def _read(path: Path, by: str, columns: list[str] | None) -> Any:
    """Read a table or a Dataset, and of it what was asked for.

    Raises ModelError if it cannot be read, or lacks one of the columns.
    """
    import pandas as pd
    import xarray as xr

    readers: dict[str, Callable[[Path], Any]] = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".nc": xr.load_dataset,
    }
    if path.suffix not in readers:
        raise ModelError(f"A table is a file {', '.join(readers)}, not {path.name!r}.")
    try:
        table = readers[path.suffix](path)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"The table {path} cannot be read: {str(error).rstrip('.')}.") from error
    if by not in ([*table.dims] if isinstance(table, xr.Dataset) else [*table.columns]):
        raise ModelError(f"The table {path} has no column {by}, which --by names.")
    if columns is None:
        return table
    there = list(table.data_vars if isinstance(table, xr.Dataset) else table.columns)
    if missing := [name for name in columns if name not in there]:
        raise ModelError(f"The table {path} has no column {', '.join(missing)}; it has {', '.join(map(str, there))}.")
    return table[columns if isinstance(table, xr.Dataset) else list(dict.fromkeys([by, *columns]))]
