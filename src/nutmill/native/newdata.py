"""New data and new starts for a model that is compiled already: checks, and new lengths of dimensions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np

from nutmill.errors import ArgumentError, ModelError, Status, first_line
from nutmill.native.binding import Binding, DataMisfit
from nutmill.native.description import DataArray, Description
from nutmill.native.origin import Origin


def replace_arrays(model: Description, arrays: Mapping[str, object], coords: Mapping[str, Sequence]) -> Description:
    """Give a model other data; lengths of dimensions and their labels follow.

    Raises ModelError if a name is unknown, or an array has another rank or a dtype that cannot be converted without
    loss; ArgumentError if `coords` is no mapping.
    """
    if not isinstance(coords, Mapping):
        raise ArgumentError(f"coords must be a mapping from dimensions to their labels, not {coords!r:.60}.")
    named = check_names(model, arrays)
    strange = [dim for dim in coords if dim not in model.dims]
    if strange:
        raise ModelError(f"The model has no dimension called {', '.join(strange)}. It has {', '.join(model.coords)}.")
    new = {name: _converted(named[name], value) for name, value in arrays.items()}
    lengths = _lengths(model, new, coords)
    _check_fixed(model, {**new, **lengths})
    if missing := model.missing - set(new):
        raise ModelError(f"The model was saved without its data: pass {', '.join(sorted(missing))} too.")
    updated = []
    for array in model.arrays:
        if array.name in new and array is named[array.name]:
            array = array._replace(value=new[array.name])
        elif array.name in lengths and model.is_length(array):
            array = array._replace(value=np.asarray(lengths[array.name], dtype=array.value.dtype))
        _check_lengths(model, array, lengths)
        updated.append(array)
    kept = {dim: labels for dim, labels in model.coords.items() if lengths.get(dim, len(labels)) == len(labels)}
    return replace(model, arrays=tuple(updated), coords={**kept, **coords}, missing=frozenset())


def check_names(model: Description, names: Iterable[str]) -> dict[str, DataArray]:
    """Give the arrays that can be replaced, by name; raises ModelError if one of `names` is not among them."""
    named: dict[str, DataArray] = {}
    for array in sorted(model.arrays, key=model.is_length):  # data stand for a length of the same name
        if array.name is not None:
            named.setdefault(array.name, array)
    unknown = [name for name in names if name not in named]
    if unknown:
        raise ModelError(
            f"The model has no data called {', '.join(unknown)}. Data that can be replaced: {', '.join(named)}."
        )
    return named


def _converted(array: DataArray, value: object) -> np.ndarray:
    dtype, rank = array.value.dtype, array.value.ndim
    value = without_gaps(array.name, value, observed=array.observed)
    if value.ndim != rank:
        raise ModelError(f"{array.name} has rank {rank}; the new array has rank {value.ndim} (shape {value.shape}).")
    if not np.can_cast(value.dtype, dtype, "same_kind"):
        raise ModelError(
            f"{array.name} is {dtype} and the new array is {value.dtype}, which does not convert without "
            f"loss: pass it as {dtype}."
        )
    fixed = [axis for axis in array.broadcast if value.shape[axis] != 1]
    if fixed:
        raise ModelError(
            f"Axis {fixed[0]} of {array.name} has length 1, over which the model broadcasts; it must stay 1."
        )
    converted = value.astype(dtype)
    if dtype.kind in "iu" and (converted != value).any():
        raise ModelError(
            f"{array.name} is {dtype}, which does not hold {value[converted != value].flat[0]}: pass smaller numbers."
        )
    check_not_nan(array.name, converted, observed=array.observed)
    return converted


def without_gaps(name: str | None, value: object, *, observed: bool) -> np.ndarray:
    """Make a plain array of data: what lies under a mask is no value, and NumPy would take it for one.

    Raises ModelError with the array's name and the first place that is masked or holds no number, such as pandas' NA.
    """
    if isinstance(value, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in value):
        value = np.ma.array(value)  # which keeps the masks of rows
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ModelError(f"{name or 'An array of the model'} is no array: its rows have different lengths.") from error
    if isinstance(value, np.ma.MaskedArray):
        gaps, what = np.ma.getmaskarray(value), "is masked"
    elif array.dtype.kind == "O":  # columns of pandas that may hold NA, lists with None in them
        gaps, what = np.reshape([not isinstance(item, Real | np.bool_) for item in array.flat], array.shape), "is {}"
    else:
        return array
    if gaps.any():
        place = _first(gaps)
        cure = "drop this observation, or build the model anew with it masked" if observed else "fill it in, or drop it"
        raise ModelError(f"{name or 'An array of the model'} {what.format(array[place])} at {place}: {cure}.")
    return array if array.dtype.kind != "O" else np.reshape(array.tolist(), array.shape)


def check_not_nan(name: str | None, value: np.ndarray, *, observed: bool) -> None:
    """Refuse observations that are NaN; raises ModelError with the variable's name and the first place."""
    if observed and value.dtype.kind == "f" and np.isnan(value).any():
        raise ModelError(
            f"Observed data of {name} are NaN, first at {_first(np.isnan(value))}. Drop these observations, or build "
            "the model with a masked array (np.ma.masked_invalid) outside of pm.Data to have them imputed."
        )


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    """Place of the first true value."""
    return tuple(int(i) for i in np.argwhere(wrong)[0])


def _lengths(model: Description, new: Mapping[str, np.ndarray], coords: Mapping[str, Sequence]) -> dict[str, int]:
    """New length of each dimension that the new arrays or labels change."""
    lengths: dict[str, int] = {dim: len(labels) for dim, labels in coords.items()}
    for name, value in new.items():
        for dim, length in zip(model.array_dims.get(name, ()), value.shape, strict=False):
            if dim is not None and lengths.setdefault(dim, length) != length:
                raise ModelError(f"The dimension {dim} would have length {lengths[dim]} and, by {name}, {length}.")
    return lengths


def _check_fixed(model: Description, lengths: Mapping[str, np.ndarray | int]) -> None:
    """Refuse other lengths of dimensions along which the code has unrolled its loops."""
    for array in model.arrays:
        if array.is_fixed and array.name is not None and lengths.get(array.name, array.value) != array.value:
            raise ModelError(
                f"The dimension {array.name} has length {array.value}, and its loops are unrolled in the code: build "
                f"the model with {lengths[array.name]}, and compile it anew."
            )


def _check_lengths(model: Description, array: DataArray, lengths: Mapping[str, int]) -> None:
    dims = () if array.name is None else model.array_dims.get(array.name, ())
    for dim, length in zip(dims, array.value.shape, strict=False):
        if dim is not None and lengths.get(dim, length) != length:
            raise ModelError(
                f"The dimension {dim} now has length {lengths[dim]}, but {array.name} still has {length} "
                f"along it: pass a new {array.name} too."
            )


def check_fit(model: Description, before: Description, origin: Origin, bound: Callable[[], Binding]) -> None:
    """Look whether arrays fit each other: indices before native code sees them, then the density at one point.

    `model` has the new data, `before` those that the model had; `bound` gives native code bound to the new ones. Raises
    ModelError with arrays whose lengths no longer agree, or that make the log density NaN, and the shape of every
    array.
    """
    try:
        wrong = origin.misfits(origin.start(model.values, 0), model.values)
    except ModelError:
        raise
    except (IndexError, ValueError) as error:
        wrong = [_parted(before, model) or first_line(error)]
    if wrong:
        raise _unfit(model, "; ".join(wrong))
    try:
        binding = bound()
        status, logp, _ = binding.density(binding.inside)
    except DataMisfit as error:
        raise _unfit(model, _parted(before, model) or error.why) from error
    if status == Status.OP_RAISED or status < 0:
        parted = None if binding.cause else _parted(before, model)  # an error of the user's own says more
        raise _unfit(model, parted or binding.sentence_of(status))
    if np.isnan(logp) and (places := nan_places(model)):
        raise ModelError(f"{' and '.join(places)}, and so is the log density: fill it in, or drop it.")


def _parted(before: Description, model: Description) -> str | None:
    """Name two arrays, one of them new, that had one length and now have two; None if there are none."""
    known = {} if before.missing else {array.name: array.value.shape for array in before.arrays}
    axes = [
        (array.name, old, new)
        for array in model.arrays
        if array.name is not None
        for old, new in zip(known.get(array.name, ()), array.value.shape, strict=False)
    ]
    for (name, old, new), (other, other_old, other_new) in combinations(axes, 2):
        if name != other and old == other_old and new != other_new:
            return f"{name} and {other} had the same length, {old}, and now have {new} and {other_new}"
    return None


def nan_places(model: Description) -> list[str]:
    """Say of each array of data that holds NaN where that is first."""
    found = [(a.name or "a constant", np.isnan(a.value)) for a in model.arrays if a.value.dtype.kind == "f"]
    return [f"{name} is NaN at {_first(is_nan)}" for name, is_nan in found if is_nan.any()]


def inf_places(model: Description) -> list[str]:
    """Say the same of Inf, of arrays with a name: bounds that are no bounds are Inf in many models, as constants."""
    found = [(a.name, np.isinf(a.value)) for a in model.arrays if a.name and a.value.dtype.kind == "f"]
    return [f"{name} is Inf at {_first(is_inf)}" for name, is_inf in found if is_inf.any()]


def _misfits(given: Mapping[str, Any], usual: Mapping[str, np.ndarray], error: Exception) -> str:
    """Say which initvals have another shape than starts have; what else is wrong, by the error's first line."""
    misfits = [
        f"{name} has shape {np.shape(value)}, and its variable {np.shape(usual[name])}"
        for name, value in given.items()
        if name in usual and np.shape(value) != np.shape(usual[name])
    ]
    shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in given.items())
    why = "; ".join(misfits) or f"{first_line(error).rstrip('.')}; their shapes are {shapes}"
    return f"The initvals do not fit their variables: {why}."


def _unfit(model: Description, why: str) -> ModelError:
    shapes = ", ".join(f"{array.name} {array.value.shape}" for array in model.arrays if array.name)
    return ModelError(f"The model cannot be evaluated with these data ({shapes}): {why}.")


def initvals_per_chain(model: Description, initvals, chains: int) -> list[Mapping[str, object]]:
    """One mapping from names to values for each chain, the same object where chains share it.

    Raises ModelError if there are not as many as chains, or a name is no free variable.
    """
    if initvals is None or isinstance(initvals, Mapping):
        per_chain = [initvals or {}] * chains
    elif isinstance(initvals, Sequence) and all(isinstance(given, Mapping | None) for given in initvals):
        per_chain = [given or {} for given in initvals]
    else:
        raise ModelError(
            f"initvals must be a dict from names to values, or a list with one for each chain, not {initvals!r}."
        )
    if len(per_chain) != chains:
        raise ModelError(f"initvals has {len(per_chain)} entries for {chains} chains: pass one for each, or one dict.")
    known = {name for p in model.parameters for name in (p.name, p.rv_name)}
    for given in per_chain:
        unknown = [str(name) for name in given if str(name) not in known]
        if unknown:
            free = ", ".join(p.rv_name for p in model.parameters)
            raise ModelError(f"initvals has no such variable: {', '.join(unknown)}. Free variables: {free}.")
    return per_chain


def start_with(
    model: Description, origin: Origin, given: Mapping[str, Any], seed: int
) -> tuple[list[np.ndarray], dict[str, str]]:
    """Initial values where the user gave some; raises ModelError if one is masked or of another shape.

    Returns one array for each parameter, on the unconstrained scale; and, for each parameter that was given, its name
    in the model.
    """
    by_name = {str(name): value for name, value in given.items()}
    names = {p.name: p.rv_name for p in model.parameters if {p.name, p.rv_name} & set(by_name)}
    default = origin.start(model.values, seed)
    masked = [name for name, value in by_name.items() if np.ma.is_masked(value)]
    if masked:
        raise ModelError(f"The initval of {masked[0]} has masked values: give a number for each.")
    try:
        values = origin.start_given(by_name, model.values, seed)
    except ModelError:
        raise
    except (TypeError, ValueError) as error:
        pairs = zip(model.parameters, default, strict=True)
        starts = {name: start for p, start in pairs for name in (p.name, p.rv_name)}
        raise ModelError(_misfits(by_name, starts, error)) from error
    for parameter, value, usual in zip(model.parameters, values, default, strict=True):
        if np.shape(value) != np.shape(usual):
            raise ModelError(
                f"The initval of {parameter.rv_name} has shape {np.shape(value)} on the unconstrained scale, "
                f"the variable has {np.shape(usual)}."
            )
    return values, names
