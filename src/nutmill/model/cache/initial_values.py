"""Initial values in the cache: PyTensor builds and interprets their graphs for a tenth of a second and more."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pymc.pytensorf import find_rng_nodes
from pytensor.graph.traversal import ancestors

from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.lowering.environment import digest, is_current
from nutmill.native import cache
from nutmill.native.container import Entry

KIND = "start"
# To tell data by their content must not take longer than what it saves.
_MOST_BYTES = 1 << 24


class KeptStart:
    """The initial value of each parameter for the data that were asked for first; other data are not kept.

    Parameters
    ----------
    model : str
        Key of the model in the cache.
    made_with : mapping
        Versions and processor, as the cache has them.
    places : sequence of int
        Which arrays of the record the values depend on.
    about : str
        The model, for people.
    """

    def __init__(self, model: str, made_with: Mapping[str, str], places: Sequence[int], about: str):
        self._model, self._made_with, self._places, self._about = model, made_with, places, about
        self._known: _Known | None = None

    def has(self, arrays: Sequence[np.ndarray]) -> bool:
        """Whether the values are known, here or in the cache."""
        key = self._key(arrays)
        if self._known is None and key is not None:
            entry = cache.load(KIND, key, self._made_with)
            self._known = None if entry is None else _Known(key, _values(entry))
        return self._known is not None and self._known.key == key

    def values(self, arrays: Sequence[np.ndarray], make: Callable[[], list[np.ndarray]]) -> list[np.ndarray]:
        """Give the values for these arrays, which `make` computes if they are not known."""
        if self.has(arrays) and self._known is not None:
            return [value.copy() for value in self._known.values]
        made = make()
        key = self._key(arrays)
        if self._known is None and key is not None:
            self._known = _Known(key, [value.copy() for value in made])
            if is_current():
                cache.store(KIND, key, self._made_with, _entry(made), self._about)
        return made

    def _key(self, arrays: Sequence[np.ndarray]) -> str | None:
        needed = [arrays[place] for place in self._places]
        if sum(array.nbytes for array in needed) > _MOST_BYTES:
            return None
        digests = [(a.dtype.str, a.shape, hashlib.sha256(a.tobytes()).hexdigest()) for a in needed]
        return digest({"model": self._model, "arrays": repr(digests), **self._made_with})


class _Known(NamedTuple):
    key: str
    values: Sequence[np.ndarray]


def places_of_start(graph: ModelGraph) -> list[int] | None:
    """Which arrays the initial values depend on; None if they are drawn by chance."""
    if find_rng_nodes(graph.start):
        return None
    needed = set(ancestors(graph.start))
    return [number for number, array in enumerate(graph.arrays) if array.variable in needed]


def _entry(values: Sequence[np.ndarray]) -> Entry:
    facts = {"values": [[value.dtype.str, value.shape] for value in values]}
    return Entry(facts, {str(number): value.tobytes() for number, value in enumerate(values)})


def _values(entry: Entry) -> list[np.ndarray]:
    facts = entry.manifest["values"]
    return [np.frombuffer(entry.parts[str(n)], dtype).reshape(shape) for n, (dtype, shape) in enumerate(facts)]
