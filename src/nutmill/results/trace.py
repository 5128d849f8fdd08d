"""Draws become ArviZ objects: the one place that knows both InferenceData (0.23) and DataTree (1.x)."""

from __future__ import annotations

import datetime
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex

from nutmill.errors import users_level
from nutmill.native import labels
from nutmill.run.adaptation import AdaptationState

if TYPE_CHECKING:
    import arviz

# ArviZ's names, in the order in which they are shown. The kernel writes the same ones, so nothing is renamed.
SAMPLE_STATS = {
    "lp": np.float64,
    "acceptance_rate": np.float64,
    "step_size": np.float64,
    "step_size_bar": np.float64,
    "tree_depth": np.int64,
    "n_steps": np.int64,
    "diverging": np.bool_,
    "reached_max_treedepth": np.bool_,
    "energy": np.float64,
    "energy_error": np.float64,
    "max_energy_error": np.float64,
    "index_in_trajectory": np.int64,
}

SAMPLE_DIMS = ("chain", "draw")


class Draws(NamedTuple):
    """What the chains drew in one phase; all arrays start with (chain, draw)."""

    posterior: Mapping[str, np.ndarray]  # name -> (chain, draw, *shape), any dtype
    stats: np.ndarray  # (chain, draw) structured, with at least the fields of SAMPLE_STATS
    unconstrained: Mapping[str, np.ndarray] | None = None  # value variable -> (chain, draw, *shape)
    log_likelihood: Mapping[str, np.ndarray] | None = None  # observed variable -> (chain, draw, *shape)


class DivergencesGroup(NamedTuple):
    """Where trajectories diverged, one row for each divergence rather than one for each draw."""

    chain: np.ndarray  # (n,) int64
    draw: np.ndarray  # (n,) int64, counted from the first kept draw
    start: np.ndarray  # (n, n_dim) float64, unconstrained
    end: np.ndarray  # (n, n_dim) float64, unconstrained
    gradient: np.ndarray  # (n, n_dim) float64, at `start`
    energy_error: np.ndarray  # (n,) float64; infinite where the density itself was not finite


class AdaptationGroup(NamedTuple):
    """What warmup has learned of each chain, and its last draw; unconstrained."""

    state: AdaptationState
    target_accept: np.ndarray  # (chain,) float64, more than was asked for where draws of warmup's end diverged
    restarted_at: np.ndarray  # (chain,) int64, draws of warmup when it left a mode of negligible mass; 0: never
    centredness_of: Mapping[str, np.ndarray] = {}  # variable -> (chain, *shape)


class ModelData(NamedTuple):
    """What a model says besides its density: data, and names for the axes of its variables."""

    observed: Mapping[str, np.ndarray] = {}
    constant: Mapping[str, np.ndarray] = {}
    coords: Mapping[str, Iterable | None] = {}  # dimension -> labels; None: a dimension without labels
    dims: Mapping[str, Sequence[str | None]] = {}  # variable -> a dimension for each axis but chain and draw


def to_arviz(
    draws: Draws,
    model: ModelData,
    *,
    warmup: Draws | None = None,
    divergences: DivergencesGroup | None = None,
    adaptation: AdaptationGroup | None = None,
    attrs: Mapping[str, Mapping[str, Any]] | None = None,
) -> arviz.InferenceData | xr.DataTree:
    """Put draws and data into the groups of the ArviZ schema.

    Parameters
    ----------
    draws
        The kept draws; zero draws are fine (a run interrupted in its warmup).
    model
        Data, coordinates and dimensions.
    warmup
        The draws of the warmup, stored in groups called ``warmup_...``.
    divergences
        Stored in a group of their own, called ``divergences``.
    adaptation
        Stored in a group of its own, called ``adaptation``.
    attrs
        Attributes for each group by its name, "/" for the whole. Nested values are stored as JSON and truth
        values as 0 or 1, because netCDF knows neither; a value of None is left out.

    Returns
    -------
    xarray.DataTree with ArviZ 1, arviz.InferenceData with ArviZ 0.23.

    Warns
    -----
    UserWarning
        When a variable's axis has another length than the dimension that the model gives it.
    """
    groups = _sampled_groups(draws, model)
    if warmup is not None:
        groups |= {f"warmup_{name}": group for name, group in _sampled_groups(warmup, model).items()}
    # PyMC 6 has observed_data also where nothing is observed.
    if model.observed or is_arviz_1():
        groups["observed_data"] = _dataset(model.observed, model, sample_dims=())
    if model.constant:
        groups["constant_data"] = _dataset(model.constant, model, sample_dims=())
    if divergences is not None:
        groups["divergences"] = _divergences_group(divergences, model)
    if adaptation is not None:
        groups["adaptation"] = _adaptation_group(adaptation, model)
    attrs = attrs or {}
    for name, group in groups.items():
        group.attrs |= _storable(attrs.get(name, {}))
    return _container(groups, _origin() | _storable(attrs.get("/", {})))


def group(data: arviz.InferenceData | xr.DataTree, name: str) -> xr.Dataset:
    """Give one group of an ArviZ object as a dataset, whichever ArviZ made it."""
    found: Any = data[name]
    return found.to_dataset() if isinstance(found, xr.DataTree) else found


def _sampled_groups(draws: Draws, model: ModelData) -> dict[str, xr.Dataset]:
    stats: dict[str, np.ndarray] = {
        name: draws.stats[name].astype(dtype, copy=False) for name, dtype in SAMPLE_STATS.items()
    }
    arrays = {
        "posterior": draws.posterior,
        "sample_stats": stats,
        "unconstrained_posterior": draws.unconstrained,
        "log_likelihood": draws.log_likelihood,
    }
    # A simplex of K values has K - 1 unconstrained ones: there the model's dimension is expected not to fit. A vector
    # that is one observation has one log likelihood, without the vector's dimension.
    fewer = {name: model.dims.get(name, ())[: np.ndim(v) - 2] for name, v in (draws.log_likelihood or {}).items()}
    models = {"log_likelihood": model._replace(dims=fewer)}
    return {
        name: _dataset(
            values, models.get(name, model), sample_dims=SAMPLE_DIMS, strict=name != "unconstrained_posterior"
        )
        for name, values in arrays.items()
        if values is not None
    }


def _divergences_group(divergences: DivergencesGroup, model: ModelData) -> xr.Dataset:
    row, point = ("divergence",), ("divergence", "unconstrained_parameter")
    # No variable may be called chain or draw: ArviZ takes those names for dimensions.
    arrays = {
        "chain_id": _variable(row, np.asarray(divergences.chain, np.int64)),
        "draw_id": _variable(row, np.asarray(divergences.draw, np.int64)),
        "start": _variable(point, divergences.start),
        "end": _variable(point, divergences.end),
        "gradient": _variable(point, divergences.gradient),
        "energy_error": _variable(row, divergences.energy_error),
    }
    n_divergences, n_dim = np.shape(divergences.start)
    sizes = {"divergence": n_divergences, "unconstrained_parameter": n_dim}
    return xr.Dataset(arrays, coords=_coordinates(sizes, model), attrs=_origin())


def _adaptation_group(adaptation: AdaptationGroup, model: ModelData) -> xr.Dataset:
    row = ("chain", "unconstrained_parameter")
    direction = ("chain", "direction", "unconstrained_parameter")
    dims = {"step_size": row[:1], "variance": row, "position": row, "directions": direction, "stretch": direction[:2]}
    dims["target_accept"] = dims["restarted_at"] = row[:1]
    dims["centredness"] = row
    of_warmup = {"target_accept": adaptation.target_accept, "restarted_at": adaptation.restarted_at}
    known = adaptation.state.trimmed()._asdict() | of_warmup
    # A dimension of length 0 is one without end in netCDF: without directions there is none.
    found = {name: np.asarray(known[name]) for name in dims}
    arrays = {name: _variable(dims[name], values) for name, values in found.items() if values.size}
    sizes = dict(zip(row, np.shape(adaptation.state.position), strict=True))
    group = xr.Dataset(arrays, coords=_coordinates(sizes, model), attrs=_origin())
    of = {f"centredness_{name}": (name, values) for name, values in adaptation.centredness_of.items()}
    shapes = model._replace(dims={name: model.dims.get(variable, ()) for name, (variable, _) in of.items()})
    values = {name: values for name, (_, values) in of.items()}
    return group.merge(_dataset(values, shapes, sample_dims=row[:1], strict=False)) if of else group


def _dataset(
    arrays: Mapping[str, np.ndarray], model: ModelData, *, sample_dims: tuple[str, ...], strict: bool = True
) -> xr.Dataset:
    """Name the axes of some arrays and label them; `strict` warns where a dimension does not fit its axis."""
    sizes = labels.known_sizes(model.coords)
    variables = {}
    for name, values in arrays.items():
        values = np.asarray(values)
        shape = values.shape[len(sample_dims) :]
        wanted = model.dims.get(name, ())
        # A dimension with the name of a variable would turn that variable into its labels.
        free = tuple(None if dim in arrays else dim for dim in wanted)
        dims = labels.fitting_dims(name, shape, free, sizes)
        if strict and labels.misfit(wanted, dims):
            warnings.warn(
                f"The dimensions {tuple(wanted)} of {name!r} do not fit its shape {shape}: its axes are "
                f"stored as {dims}. Give it other dims in the model.",
                stacklevel=users_level(),
            )
        sizes |= zip(dims, shape, strict=True)
        variables[name] = _variable((*sample_dims, *dims), values)
    dataset = xr.Dataset(variables, attrs=_origin())
    if sample_dims:
        dataset.attrs["sample_dims"] = list(sample_dims)
    return dataset.assign_coords(_coordinates({str(dim): n for dim, n in dataset.sizes.items()}, model))


def _variable(dims: Sequence[str], values: np.ndarray) -> xr.Variable:
    # `fastpath` says that this is an array of NumPy's. Xarray would look whether it is one of Dask's, and import Dask,
    # where that is installed, to do so: half a second in each process.
    return xr.Variable(dims, values, fastpath=_is_plain(values))


def _is_plain(values: np.ndarray) -> bool:
    """Whether xarray and pandas take an array as it is; they have units of their own for times."""
    return values.dtype.kind in "biufcU" and values.dtype != np.float16


def _coordinates(sizes: Mapping[str, int], model: ModelData) -> xr.Coordinates:
    """Label some dimensions, by indices such as xarray makes of arrays; it would import Dask for this too."""
    indexes = {
        dim: PandasIndex(pd.Index(array), dim, array.dtype)
        if _is_plain(array)
        else PandasIndex.from_variables({dim: xr.Variable(dim, array)}, options={})
        for dim, (_, array) in labels.coordinates(sizes, model.coords).items()
    }
    variables = {dim: index.create_variables()[dim] for dim, index in indexes.items()}
    return xr.Coordinates(variables, indexes)


def _origin() -> dict[str, str]:
    return {
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(),
        "creation_library": "nutmill",
        "creation_library_version": _own_version(),
        "creation_library_language": "Python",
        "inference_library": "nutmill",
        "inference_library_version": _own_version(),
    }


@cache
def is_arviz_1() -> bool:
    """Whether ArviZ is of the line whose objects are DataTrees, and which PyMC 6 needs."""
    return int(version("arviz").split(".")[0]) >= 1


@cache
def _own_version() -> str:
    return version("nutmill")


def _storable(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn attributes into what netCDF and Zarr both can hold and give back."""
    return {name: _storable_value(value) for name, value in attrs.items() if value is not None}


def _storable_value(value: Any) -> str | int | float:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (str, int, float)):
        return int(value) if isinstance(value, bool) else value
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _container(groups: dict[str, xr.Dataset], attrs: dict[str, Any]) -> arviz.InferenceData | xr.DataTree:
    if is_arviz_1():
        tree = xr.DataTree.from_dict(groups)
        tree.attrs = attrs
        return tree
    import arviz  # here, because it takes seconds and only this line of the ecosystem needs it

    return arviz.InferenceData(attrs=attrs, **groups)
