"""Results on disk: netCDF files and Zarr folders, written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from nutmill.errors import ModelError, first_line

if TYPE_CHECKING:
    import arviz

NETCDF, ZARR = SUFFIXES = (".nc", ".zarr")
# By preference.
_ENGINES = {NETCDF: ("h5netcdf", "netCDF4"), ZARR: ("zarr",)}
# xarray's own names of them.
_NAMES = {"h5netcdf": "h5netcdf", "netCDF4": "netcdf4", "zarr": "zarr"}
# More than files of netCDF take beside values: names, attributes, heads of arrays.
_BYTES_OF_A_VARIABLE, _BYTES_OF_A_FILE = 2048, 65536
_ZARR_MARKS = ("zarr.json", ".zgroup")


def check_target(path: Path) -> None:
    """Refuse, before anything is computed, a file that could not be written afterwards.

    Raises ModelError with what to do about it.
    """
    kind = _kind(path)
    _engine(kind)
    if not path.resolve().parent.is_dir():
        raise ModelError(f"The result {path} cannot be written: there is no folder {path.parent}.")
    if path.exists() and not _is_result(path, kind):
        raise ModelError(f"The result {path} cannot be written: what is there is no result, and is not replaced.")
    if not os.access(path.resolve().parent, os.W_OK):
        raise ModelError(f"The result {path} cannot be written: the folder {path.parent} is read-only.")


def save(result: arviz.InferenceData | xr.DataTree, path: Path) -> None:
    """Write a result as netCDF (``.nc``) or Zarr (``.zarr``); an older result of the same name is replaced.

    Raises ModelError if it cannot be written; what was there before is still there then.
    """
    check_target(path)
    tree = result if isinstance(result, xr.DataTree) else result.to_datatree()
    try:
        # Beside its place, so that it moves there in one step.
        with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=f".{path.name}-") as folder:
            fresh = Path(folder) / path.name
            _ask_for_room(tree, folder)
            _write(tree, fresh)
            if path.is_dir():
                os.replace(path, Path(folder) / "old")
            os.replace(fresh, path)
    except OSError as error:
        raise ModelError(f"The result {path} cannot be written: {error.strerror or error}.") from error
    except (ValueError, TypeError) as error:  # names and labels that the format does not know
        raise ModelError(f"The result {path} cannot be written: {first_line(error).rstrip('.')}.") from error


def save_or_rescue(result: arviz.InferenceData | xr.DataTree, path: Path) -> None:
    """Write a result as `save` does, or else beside, into the folder of this process or that of temporary files.

    For a result that would be lost. Raises ModelError if it is not in its place; the message says where it is then.
    """
    try:
        save(result, path)
    except ModelError as error:
        rescued = _rescued(result, f"rescued-{secrets.token_hex(4)}-{path.name}", path.parent)
        if rescued is None:
            raise ModelError(f"{error} Nor can it be elsewhere: what was drawn is lost.") from error
        raise ModelError(f"{error} It is in {rescued}: move it to where it should be.") from error


def _rescued(result: arviz.InferenceData | xr.DataTree, name: str, folder: Path) -> Path | None:
    for place in (folder, Path(os.curdir), Path(tempfile.gettempdir())):
        with suppress(ModelError, OSError):  # a folder that we are in may have been deleted
            rescued = (place / name).absolute()
            save(result, rescued)
            return rescued
    return None


def load(path: Path) -> xr.DataTree:
    """Read a result into memory.

    Raises
    ------
    ModelError
        If there is none, or it is not one.
    """
    kind = _kind(path)
    engine = _engine(kind)
    if not path.exists():
        raise ModelError(
            f"The result {path} cannot be read: there is no such {'file' if kind == NETCDF else 'folder'}."
        )
    options: dict[str, Any] = {"consolidated": False} if kind == ZARR else {}
    try:
        with xr.open_datatree(path, engine=engine, **options) as stored:
            tree = stored.load()
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"The result {path} cannot be read: it is damaged, or no {kind[1:]} file.") from error
    if not {"posterior", "sample_stats"} <= set(tree.children):
        raise ModelError(f"{path} is no result of a sampler: it has no groups posterior and sample_stats.")
    return tree


def _ask_for_room(tree: xr.DataTree, folder: str) -> None:
    """Take as much of the disk as the result will, for a moment; raises OSError where there is none, or no quota.

    h5netcdf closes once more, when it is collected, what it could not write to a full disk, which ends the process.
    """
    datasets = [node.dataset for node in tree.subtree]
    needed = sum(dataset.nbytes + _BYTES_OF_A_VARIABLE * len(dataset.variables) for dataset in datasets)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, needed + _BYTES_OF_A_FILE)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot tell
                raise


def _write(tree: xr.DataTree, path: Path) -> None:
    if _kind(path) == NETCDF:
        engine: Any = _engine(NETCDF)  # which xarray declares to be one of three strings
        tree.to_netcdf(path, engine=engine)
    else:
        tree.to_zarr(path, consolidated=False)


def _kind(path: Path) -> str:
    if path.suffix not in _ENGINES:
        raise ModelError(f"A result is a file {NETCDF} or a folder {ZARR}, not {path.name!r}.")
    return path.suffix


def _engine(kind: str) -> str:
    for module in _ENGINES[kind]:
        if find_spec(module) is not None:
            return _NAMES[module]
    raise ModelError(f"Results as {kind} need {_ENGINES[kind][0]}: pip install 'nutmill[storage]'.")


def _is_result(path: Path, kind: str) -> bool:
    if kind == NETCDF:
        return path.is_file()
    return path.is_dir() and any((path / mark).is_file() for mark in _ZARR_MARKS)
