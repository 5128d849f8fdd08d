"""A model's description and origin as JSON and arrays, for files."""

import io
from collections.abc import Mapping, Sequence

import numpy as np

from nutmill.native.description import DataArray, Description, Labels, Parameter, Reported
from nutmill.native.functions import functions_of
from nutmill.native.origin import Index
from nutmill.native.saved_origin import SavedOrigin


class Arrays:
    """Arrays by number, in the form of NumPy's files: `parts` are the bytes of each, by its name."""

    def __init__(self, parts: Mapping[str, bytes] | None = None):
        self.parts = dict(parts or {})

    def put(self, array: Labels) -> str:
        """Keep an array; returns the name of its part."""
        name = f"array {len(self.parts)}"
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array), allow_pickle=False)
        self.parts[name] = buffer.getvalue()
        return name

    def get(self, name: str) -> np.ndarray:
        """Give an array back."""
        return np.load(io.BytesIO(self.parts[name]), allow_pickle=False)


def description_to_json(model: Description, arrays: Arrays, *, data: bool) -> dict:
    """Tell a description; without `data`, arrays that have a name are left out, apart from lengths of dimensions."""
    kept = [data or array.name is None or model.is_length(array) for array in model.arrays]
    return {
        "parameters": [[p.name, p.rv_name, _listed(p.dims)] for p in model.parameters],
        "arrays": [_array_to_json(array, arrays, keep=keep) for array, keep in zip(model.arrays, kept, strict=True)],
        "reported": [[name, _listed(node.dims), node.parameter] for name, node in model.reported.items()],
        "coords": {dim: arrays.put(labels) for dim, labels in model.coords.items()},
        "array_dims": {name: _listed(dims) for name, dims in model.array_dims.items()},
        "observed": list(model.observed),
        "constant": list(model.constant),
    }


def description_from_json(facts: Mapping, arrays: Arrays) -> Description:
    """Make a description of what `description_to_json` gave."""
    return Description(
        parameters=tuple(Parameter(name, rv_name, _tuple(dims)) for name, rv_name, dims in facts["parameters"]),
        arrays=tuple(_array_from_json(described, arrays) for described in facts["arrays"]),
        reported={name: Reported(_tuple(dims), parameter) for name, dims, parameter in facts["reported"]},
        coords={dim: arrays.get(part) for dim, part in facts["coords"].items()},
        array_dims={name: tuple(dims) for name, dims in facts["array_dims"].items()},
        observed=tuple(facts["observed"]),
        constant=tuple(facts["constant"]),
        missing=frozenset(described["name"] for described in facts["arrays"] if described["part"] is None),
    )


def origin_to_json(origin: SavedOrigin, arrays: Arrays, *, data: bool) -> dict:
    """Tell an origin, apart from its machine code; without `data`, nothing that was computed from them."""
    fixed = data or not any(number is not None for number, _ in origin.arguments)
    return {
        "functions": origin.functions.facts(),
        "parameters": list(origin.parameters),
        "variables": list(origin.variables),
        "start": [arrays.put(value) for value in origin.start_as_saved] if fixed else None,
        "shown": dict(origin.shown_as),
        "indices": [list(index) for index in origin.indices],
        "arguments": [[a[0], arrays.put(a[1]) if a[0] is None else None] for a in origin.arguments],
        "is_real": origin.is_real,
    }


def origin_from_json(facts: Mapping, code: bytes, arrays: Arrays, data: Sequence[np.ndarray]) -> SavedOrigin:
    """Make an origin of what `origin_to_json` gave, its machine code, and the data of the file."""
    start = facts["start"]
    return SavedOrigin(
        functions=functions_of(code, facts["functions"]),
        parameters=tuple(facts["parameters"]),
        variables=tuple(facts["variables"]),
        start_as_saved=tuple(arrays.get(part) for part in start or ()),
        # A file without start values has none that could have been computed from any of its arrays.
        arrays_as_saved=tuple(None if start is None else array for array in data),
        shown_as=facts["shown"],
        indices=tuple(Index(name, is_mask) for name, is_mask in facts["indices"]),
        arguments=tuple(
            (None, arrays.get(part)) if number is None else (number, None) for number, part in facts["arguments"]
        ),
        is_real=facts["is_real"],
    )


def _array_to_json(array: DataArray, arrays: Arrays, *, keep: bool) -> dict:
    return {
        "name": array.name,
        "dtype": array.value.dtype.str,
        "rank": array.value.ndim,
        "observed": array.observed,
        "broadcast": list(array.broadcast),
        "is_fixed": array.is_fixed,
        "part": arrays.put(array.value) if keep else None,
    }


def _array_from_json(facts: Mapping, arrays: Arrays) -> DataArray:
    part = facts["part"]
    value = np.zeros((0,) * facts["rank"], facts["dtype"]) if part is None else arrays.get(part)
    return DataArray(facts["name"], value, facts["observed"], tuple(facts["broadcast"]), facts["is_fixed"])


def _listed(dims) -> list | None:
    return None if dims is None else list(dims)


def _tuple(dims) -> tuple | None:
    return None if dims is None else tuple(dims)
