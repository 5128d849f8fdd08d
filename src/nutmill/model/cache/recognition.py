"""Recognises a PyMC model that was compiled before, so that its log density need not be built again."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.type import TensorType

from nutmill.errors import ModelError
from nutmill.model.cache.initial_values import KeptStart, places_of_start
from nutmill.model.cache.models import about, find
from nutmill.model.cache.unbuilt import leaves, name_of
from nutmill.model.compile_order import COMPILING, stage
from nutmill.model.graphs.graph import GraphArray, ModelGraph, held
from nutmill.model.graphs.pymc_model import from_pymc, start_of
from nutmill.model.graphs.start import evaluate
from nutmill.model.lowering import environment
from nutmill.native import cache
from nutmill.native.code import Code
from nutmill.native.container import Entry
from nutmill.native.description import DataArray, Description, Parameter, Reported, owned
from nutmill.native.newdata import check_not_nan, without_gaps
from nutmill.native.processor import Target

if TYPE_CHECKING:
    from nutmill.model.graph_origin import GraphOrigin

_log = logging.getLogger("nutmill")

_KIND = "reading"
# To tell data by their content must not take longer than to read the model.
_MOST_BYTES = 1 << 28


class Recognised(NamedTuple):
    """All that a compiled model consists of."""

    description: Description
    code: Code
    origin: "RecognisedOrigin"


class Key(NamedTuple):
    """Of a model that is not built yet."""

    name: str  # its own
    choices: Mapping[str, Any]  # fields of its `ModelGraph` that the user chooses

    def entry(self, made_with: Mapping[str, str], data: str = "") -> str:
        """Under which the cache has what was read of it, by versions and processor; with `data`, for those alone."""
        of_data = {"data": data} if data else {}
        return environment.digest({"model": self.name, **self.choices, **of_data, **made_with})


def key_of(
    model: pm.Model, var_names: Sequence[str] | None, choices: Mapping[str, Any], stages: dict[str, float]
) -> Key | None:
    """Key of a model that is not built yet; None, and a log line, if it has none."""
    with stage(stages, "recognise"):
        name = name_of(model, var_names)
    if name.digest is None:
        _log.info("this model is read anew every time: %s", name.reason)
        return None
    return Key(name.digest, choices)


def recognise(
    key: Key, model: pm.Model, var_names: Sequence[str] | None, target: Target, stages: dict[str, float]
) -> Recognised | None:
    """Find what was kept of a model and its code; None if either is missing."""
    with stage(stages, "load"):
        made_with = environment.for_models(target)
        name = key.entry(made_with)
        entry = cache.load(_KIND, name, made_with)
        if entry is None:
            name = key.entry(made_with, _digest_of_data(leaves(model)) or "")
            entry = cache.load(_KIND, name, made_with)
        code = find(entry.manifest["code"], target, stages) if entry else None
    if entry is None or code is None:
        return None
    facts = entry.manifest
    description = _description(entry, model)
    kept = _kept_start(name, made_with, facts["start"], about(description))
    origin = RecognisedOrigin(model, var_names, key, description, shown=facts["shown"], kept=kept)
    return Recognised(description, code, origin)


def remember(key: Key, model: pm.Model, graph: ModelGraph, code: Code) -> KeptStart | None:
    """Keep what was read of a model whose code is in the cache; returns where its initial values may be kept."""
    if code.key is None or not environment.is_current():
        return None
    found = leaves(model)
    places = [None if array.is_own else _place(array.value, found) for array in graph.arrays]
    unplaced = [a for a, place in zip(graph.arrays, places, strict=True) if place is None and not a.is_own]
    # PyMC made such arrays of constants, whose content is in the key, or of data, whose content is not.
    data = _digest_of_data(found) if unplaced else ""
    if data is None:
        _log.info("this model is read anew every time: PyMC computes arrays from its data")
        return None
    description = graph.describe()
    inputs = [array.variable for array in graph.arrays]
    shown = {**graph.observed, **graph.constant}
    places_in_record = None if _may_change_unseen(graph, places, found) else places_of_start(graph)
    facts = {
        "code": code.key,
        "parameters": description.parameters,
        "arrays": [
            [place, a.value.dtype.str, a.value.shape, a.name, a.observed, a.broadcast, a.is_fixed]
            for place, a in zip(places, description.arrays, strict=True)
        ],
        "reported": [[name, *reported] for name, reported in description.reported.items()],
        "array_dims": dict(description.array_dims),
        "observed": description.observed,
        "constant": description.constant,
        "shown": {name: inputs.index(v) if v in inputs else None for name, v in shown.items()},
        "start": places_in_record,
    }
    own = {str(n): graph.arrays[n].value.tobytes() for n, place in enumerate(places) if place is None}
    made_with, of_model = environment.for_models(code.target), about(graph)
    name = key.entry(made_with, data)
    cache.store(_KIND, name, made_with, Entry(facts, own), of_model)
    return _kept_start(name, made_with, places_in_record, of_model)


def _kept_start(
    entry: str, made_with: Mapping[str, str], places: Sequence[int] | None, of_model: str
) -> KeptStart | None:
    return None if places is None else KeptStart(entry, made_with, places, of_model)


def _digest_of_data(found: Sequence[Variable]) -> str | None:
    """Of what shared arrays of a model hold now, lengths of dimensions too; "" if there are none, None if too much."""
    shared = [held(v) for v in found if isinstance(v, SharedVariable) and isinstance(v.type, TensorType)]
    if sum(array.nbytes for array in shared) > _MOST_BYTES:
        return None
    content = hashlib.sha256()
    for array in shared:
        content.update(f"{array.dtype.str} {array.shape};".encode())
        content.update(array.tobytes())
    return content.hexdigest() if shared else ""


def _may_change_unseen(graph: ModelGraph, places: Sequence[int | None], found: Sequence[Variable]) -> bool:
    """Whether there are shared variables without a name, which nobody hands to who reads the start again."""
    unnamed = [place for array, place in zip(graph.arrays, places, strict=True) if array.name is None]
    return any(isinstance(found[place], SharedVariable) for place in unnamed if place is not None)


def _value(leaf: Variable) -> np.ndarray | None:
    return held(leaf) if isinstance(leaf.type, TensorType) else None


def _place(array: np.ndarray, found: Sequence[Variable]) -> int | None:
    """Which leaf holds an array, or is a constant of its content: PyMC copies constants, whose content is in the key.

    A shared variable that happens to hold equal values today is another thing.
    """
    values = [_value(leaf) for leaf in found]
    for number, value in enumerate(values):
        if value is array:
            return number
    for number, (leaf, value) in enumerate(zip(found, values, strict=True)):
        if isinstance(leaf, Constant) and value is not None and _are_equal(value, array):
            return number
    return None


def _are_equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _description(entry: Entry, model: pm.Model) -> Description:
    facts, values = entry.manifest, [_value(v) for v in leaves(model)]
    arrays = []
    for number, (place, dtype, shape, name, observed, broadcast, is_fixed) in enumerate(facts["arrays"]):
        kept = np.frombuffer(entry.parts[str(number)], dtype).reshape(shape) if place is None else values[place]
        value = without_gaps(name, kept, observed=observed)
        arrays.append(DataArray(name, owned(value), observed, tuple(broadcast), is_fixed))
    for array in arrays:
        check_not_nan(array.name, array.value, observed=array.observed)
    return Description(
        parameters=tuple(Parameter(name, rv_name, _dims(dims)) for name, rv_name, dims in facts["parameters"]),
        arrays=tuple(arrays),
        reported={name: Reported(_dims(dims), parameter) for name, dims, parameter in facts["reported"]},
        coords={name: labels for name, labels in model.coords.items() if labels is not None},
        array_dims={name: tuple(dims) for name, dims in facts["array_dims"].items()},
        observed=tuple(facts["observed"]),
        constant=tuple(facts["constant"]),
    )


def _dims(dims: Sequence[str | None] | None) -> tuple[str | None, ...] | None:
    return None if dims is None else tuple(dims)


class _Start(NamedTuple):
    """How initial values are computed: of arrays of its own, or of those of the record where `places` names one."""

    arrays: Sequence[GraphArray]
    places: Sequence[int | None]
    outputs: Sequence[Variable]

    def values(self, arrays: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
        now = [own.value if n is None else arrays[n] for own, n in zip(self.arrays, self.places, strict=True)]
        return evaluate([array.variable for array in self.arrays], now, self.outputs, seed)


class RecognisedOrigin:
    """The `Origin` of a model that was recognised: reads the model only when something rare is asked of it."""

    def __init__(
        self,
        model: pm.Model,
        var_names: Sequence[str] | None,
        key: Key,
        description: Description,
        *,
        shown: Mapping[str, int | None],
        kept: KeptStart | None,
    ):
        self._model, self._var_names, self._key = model, var_names, key
        self._description, self._shown, self._kept = description, shown, kept
        if kept is None or not kept.has(description.values):
            _ = self._start  # the model as it is now: the user may change it

    @cached_property
    def _built(self) -> "GraphOrigin":
        from nutmill.model.graph_origin import GraphOrigin  # brings PyTensor's Numba forms

        self._check_unchanged()
        with COMPILING:
            return GraphOrigin(replace(from_pymc(self._model, self._var_names), **self._key.choices))

    def _check_unchanged(self) -> None:
        # Variables may have been added since, and the arrays in its constants are the user's own.
        if name_of(self._model, self._var_names).digest != self._key.name:
            raise ModelError("The pm.Model was changed after it was compiled: compile it again.")

    @cached_property
    def _start(self) -> _Start:
        arrays, outputs = start_of(self._model)
        named = {array.name: n for n, array in enumerate(self._description.arrays) if array.name is not None}
        places = [None if a.name is None else named.get(a.name) for a in arrays]
        return _Start([a._replace(value=owned(a.value)) for a in arrays], places, outputs)

    def start(self, arrays, seed):
        """Initial value of each parameter; random ones draw from streams made of `seed`."""
        if self._kept is None:
            return self._start.values(arrays, seed)
        return self._kept.values(arrays, lambda: self._start_now().values(arrays, seed))

    def _start_now(self) -> _Start:
        if "_start" not in vars(self):
            self._check_unchanged()
        return self._start

    def shown(self, arrays):
        """Observed and constant data of the result, by name."""
        if None in self._shown.values():
            return self._built.shown(arrays)
        return {name: arrays[number] for name, number in self._shown.items()}

    def saved(self, arrays, target):
        """The same for a file, with machine code for a processor; raises ModelError if there is none."""
        return self._built.saved(arrays, target)

    def start_given(self, given, arrays, seed):
        """The same where the user gives some values by name; raises TypeError or ValueError if they do not fit."""
        return self._built.start_given(given, arrays, seed)

    def misfits(self, pieces, arrays):
        """Say which indices lie outside of what they index, a clause each."""
        return self._built.misfits(pieces, arrays)

    def not_finite(self, pieces, arrays):
        """Terms of the log density that are not finite at a position, by name of the variable."""
        return self._built.not_finite(pieces, arrays)

    def guide(self, arrays):
        """What helps to find a start."""
        return self._built.guide(arrays)

    def likelihood(self, target):
        """Native code that gives the log likelihood of each observation; raises ModelError if there is none."""
        return self._built.likelihood(target)
