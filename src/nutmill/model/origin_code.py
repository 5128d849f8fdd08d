"""Compiles what a saved model computes outside of sampling: starts, data of the result, checks of indices."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pytensor import config
from pytensor.graph.basic import Variable
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RNGConsumerOp

from nutmill.errors import ModelError
from nutmill.model.cache.fingerprint import Nameless, Reader
from nutmill.model.compile_order import COMPILING
from nutmill.model.graphs.checks import reaches
from nutmill.model.graphs.graph import ModelGraph, Starting
from nutmill.model.graphs.start import evaluate, without_c
from nutmill.model.lowering import environment
from nutmill.model.lowering.bitcode import bitcode_only
from nutmill.model.lowering.fuse import Lowered, Unlinkable, link_model
from nutmill.model.lowering.interrupts import no_lost_interrupt
from nutmill.model.lowering.lower import prepare_entry
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.lowering.ways import WAYS, Way
from nutmill.native import cache
from nutmill.native.container import Entry
from nutmill.native.functions import Functions, Signature, functions_of
from nutmill.native.object import symbols_of_numba, unresolved
from nutmill.native.processor import Target
from nutmill.native.record import layout
from nutmill.native.saved_origin import CONSTRAIN, REACHES, SHOWN, START, UNCONSTRAIN, Argument, SavedOrigin

_KIND, _OBJECT = "functions", "object"  # in the cache
_IN_PYTHON = "The start or the data of the model are computed in Python: it cannot be saved."


class _Function(NamedTuple):
    inputs: Sequence[Variable]
    outputs: Sequence[Variable]


def saved_origin(graph: ModelGraph, arrays: Sequence[np.ndarray], target: Target) -> SavedOrigin:
    """Make the origin of a file from a graph, with machine code for a processor.

    Raises ModelError if one of the functions needs Python.
    """
    inputs = [array.variable for array in graph.arrays]
    numbers = {variable: number for number, variable in enumerate(inputs)}
    shown = {**graph.observed, **graph.constant}
    reached = reaches(graph)
    starting = graph.starting() if graph.starting else None
    functions = {
        SHOWN: _Function(inputs, [variable for variable in shown.values() if variable not in numbers]),
        REACHES: _Function([*(p.variable for p in graph.parameters), *inputs], [reach.bounds for reach in reached]),
        **_starts(starting),
    }
    arguments = [] if starting is None else _arguments(graph, starting)
    return SavedOrigin(
        functions=_compiled({name: f for name, f in functions.items() if f.outputs}, graph.lowering, target),
        parameters=tuple(parameter.name for parameter in graph.parameters),
        variables=tuple(parameter.rv_name for parameter in graph.parameters),
        start_as_saved=tuple(_start_values(graph, starting, arrays, arguments)),
        arrays_as_saved=tuple(arrays),
        shown_as={name: numbers.get(variable) for name, variable in shown.items()},
        indices=tuple(reach.index for reach in reached),
        arguments=tuple(arguments),
        is_real=starting is None,
    )


def _starts(starting: Starting | None) -> dict[str, _Function]:
    if starting is None:
        return {}
    inputs = [array.variable for array in starting.arrays]
    return {
        START: _Function(inputs, [*starting.starts, *starting.usual]),
        UNCONSTRAIN: _Function([*starting.given, *inputs], [*starting.starts_given, *starting.usual_given]),
        CONSTRAIN: _Function([*starting.given, *starting.pieces, *inputs], starting.variables_given),
    }


def _arguments(graph: ModelGraph, starting: Starting) -> list[Argument]:
    """Where the arrays of `starting` are: in the record, if they have a name and so may be replaced."""
    numbers = {array.name: number for number, array in enumerate(graph.arrays) if array.name is not None}
    found = [(None if array.name is None else numbers.get(array.name), array.value) for array in starting.arrays]
    return [(None, value) if number is None else (number, None) for number, value in found]


def _start_values(graph: ModelGraph, starting: Starting | None, arrays, arguments) -> list[np.ndarray]:
    # As `GraphOrigin.start` does: streams of random starts depend on which graphs are evaluated together.
    starts = evaluate([array.variable for array in graph.arrays], arrays, graph.start)
    if starting is None:
        return [*starts, *starts]
    values = [argument[1] if argument[0] is None else arrays[argument[0]] for argument in arguments]
    return [*starts, *evaluate([array.variable for array in starting.arrays], values, starting.usual)]


def _compiled(functions: Mapping[str, _Function], lowering: str, target: Target) -> Functions:
    """Compile functions, or find what was compiled from such graphs before."""
    made_with = environment.for_models(target)
    key = _key(functions, {"lowering": lowering, **made_with})
    entry = None if key is None else cache.load(_KIND, key, made_with)
    if entry is not None and not unresolved(entry.parts[_OBJECT]):
        return functions_of(entry.parts[_OBJECT], entry.manifest)
    with no_lost_interrupt():
        made = _fused(functions, WAYS[lowering], target)
    if made.code and key is not None and environment.is_current():
        cache.store(_KIND, key, made_with, Entry(made.facts(), {_OBJECT: made.code}), ", ".join(made.signatures))
    return made


def _key(functions: Mapping[str, _Function], made_with: Mapping[str, str]) -> str | None:
    """Name the structure of all of them and what they are compiled with; None if something has no name."""
    reader = Reader()
    try:
        graphs = {name: reader.graph(function.inputs, function.outputs) for name, function in functions.items()}
    except Nameless:
        return None
    if environment.customised():
        return None
    return environment.digest({"structure": repr(graphs), **made_with})


def _fused(functions: Mapping[str, _Function], way: Way, target: Target) -> Functions:
    lowered, signatures = {}, {}
    declare_slots()
    with COMPILING, warnings.catch_warnings(), bitcode_only(), without_c(), config.change_flags(numba__cache=False):
        warnings.filterwarnings("ignore", "Numba will use object mode")  # such code is refused below
        for name, function in functions.items():
            outputs = _without_idle_draws(function.outputs)
            # Random starts stay what they were: native code has no generator for them.
            if not _is_random(outputs):
                lowered[name], signatures[name] = _lowered(_Function(function.inputs, outputs), way)
    if not lowered:
        return Functions(b"", {})
    try:
        code = link_model(lowered, target)
    except Unlinkable as error:
        raise ModelError(_IN_PYTHON) from error
    if any(entry.has_addresses for entry in lowered.values()) or symbols_of_numba(code):
        raise ModelError(_IN_PYTHON)
    return Functions(code, signatures)


def _is_random(outputs: Sequence[Variable]) -> bool:
    return any(v.owner is not None and isinstance(v.owner.op, RNGConsumerOp) for v in ancestors(outputs))


def _without_idle_draws(outputs: Sequence[Variable]) -> Sequence[Variable]:
    """Drop random variables of which only the shape is asked."""
    if not _is_random(outputs):
        return outputs
    return rewrite_graph(list(outputs), include=("ShapeOpt", "canonicalize", "specialize"))


def _lowered(function: _Function, way: Way) -> tuple[Lowered, Signature]:
    slots = layout([], [(variable.type.dtype, variable.type.ndim) for variable in function.inputs])
    rewritten = way.rewrite([], function.inputs, function.outputs, hoist=False)
    entry = prepare_entry(way.function(rewritten.fgraph), slots)
    outputs = tuple((np.dtype(variable.type.dtype), variable.type.ndim) for variable in function.outputs)
    return entry, Signature(tuple(slots), outputs)
