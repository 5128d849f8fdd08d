"""What tells one call of many fits from another: its request, its model, its data sets."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nutmill.errors import CheckpointError, ModelError
from nutmill.layout.machine.topology import topology
from nutmill.many.all_fits import layout_of_fits
from nutmill.many.datasets import DataSet
from nutmill.many.fitting import Fitter
from nutmill.sampling.kept_model import check_same, identity


def facts_of_call(fitter: Fitter, first: DataSet, keep: str | Callable) -> dict[str, Any]:
    """Say what rows depend on beside their data (JSON): the ``request``, and the model as `kept_model.identity` has it.

    The model is bound to the first data set, or as it is if these do not fit.
    """
    request = fitter.request
    try:
        bound = fitter.bind(first)
    except ModelError:
        bound = fitter.compiled
    arguments = {**request.as_json(), "keep": keep if isinstance(keep, str) else "a function"}
    if request.layout is not None and fitter.compiled.code.calls_blas:
        arguments["blas"] = layout_of_fits(request).numerics
    return json.loads(json.dumps({"request": arguments, **identity(bound, topology().cpu_model)}))


def facts_from_json(content: str | bytes) -> dict[str, Any]:
    """Read what `facts_of_call` gave; raises ValueError, KeyError or TypeError if it is not that."""
    facts = dict(json.loads(content))
    facts["request"] = dict(facts.pop("asked") if "asked" in facts else facts["request"])  # its name until 2026-11
    return facts


class DataDigest:
    """A digest of all data sets that have passed, by which the same ones are known."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, data: DataSet) -> None:
        """Take the next data set."""
        self._digest.update(repr(data.key).encode())
        for name, value in data.arrays.items():
            array = np.asarray(value)
            self._digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
            self._digest.update(repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes())

    def watch(self, sets: Iterator[DataSet]) -> Iterator[DataSet]:
        """Take each data set that passes."""
        for data in sets:
            self.add(data)
            yield data

    def hexdigest(self) -> str:
        """Give the digest of all that were taken."""
        return self._digest.hexdigest()


def difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Say in what another call differs, by the facts of both; "" if in nothing."""
    others = [name for name, value in mine["request"].items() if theirs["request"].get(name) != value]
    if others:
        return f"another {', '.join(others)}"
    try:
        check_same(mine, theirs, "")
    except CheckpointError:
        return "another model or a first data set that differs"
    return ""
