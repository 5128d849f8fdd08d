"""From a `ModelGraph` to native code: the steps in order, timed, under one lock."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytensor.link.numba.dispatch  # noqa: F401  registers the Numba form of every op
import pytensor.tensor as pt
from pytensor import config
from pytensor.gradient import grad
from pytensor.graph.basic import Variable

from nutmill.errors import ModelError, first_line, users_level
from nutmill.model.build_apart import compile_apart
from nutmill.model.cache.models import cache_key, find, keep, one_compiles
from nutmill.model.compile_order import COMPILING, Order, stage
from nutmill.model.garbage import tidy_up
from nutmill.model.graphs.arithmetic import Arithmetic
from nutmill.model.graphs.graph import ModelGraph
from nutmill.model.graphs.start import without_c
from nutmill.model.lowering import lower
from nutmill.model.lowering.bitcode import bitcode_only
from nutmill.model.lowering.fuse import Lowered, Unlinkable, link_addresses, link_model, needs_python
from nutmill.model.lowering.inline.foreign import noting_foreign
from nutmill.model.lowering.interrupts import no_lost_interrupt
from nutmill.model.lowering.kernel import kernel_object
from nutmill.model.lowering.places import kinds, placed, prepared
from nutmill.model.lowering.slots import declare_slots
from nutmill.model.lowering.ways import WAYS
from nutmill.model.python_ops import naming_python_ops
from nutmill.model.rewriting.rows.tiles import RowTiles
from nutmill.model.rewriting.single import in_single
from nutmill.model.rewriting.stable import simplify
from nutmill.model.tested_versions import warn_of_newer
from nutmill.native.code import Code, code_of
from nutmill.native.grouping import Arranged
from nutmill.native.in_python import InPython
from nutmill.native.lengths import Lengths
from nutmill.native.object import NativeObject, loaded_once
from nutmill.native.processor import Target, target
from nutmill.native.record import Slot, layout
from nutmill.progress.stderr import announce

_log = logging.getLogger("nutmill")


def compile_graph(graph: ModelGraph, order: Order) -> Code:
    """Compile density, gradient and reported variables of a model, and link them with the kernel.

    Raises ModelError if an op has neither a native nor a Python form, or the log density is not a differentiable
    scalar.
    """
    stages: dict[str, float] = {}
    with COMPILING:
        # Only fused code stands alone; other code lives in Numba's engine, in this process.
        key, found = _recall(graph, order.target, stages) if order.fuse else (None, None)
        if found is not None:
            return found
        with one_compiles(key):
            found = None if key is None else find(key, order.target, stages)  # another process may just have kept it
            return found or _compile_new(graph, order, key, stages)


def _compile_new(graph: ModelGraph, order: Order, key: str | None, stages: dict[str, float]) -> Code:
    announce("Compiling the model")
    warn_of_newer()
    if order.isolate:
        return _kept(_compiled_apart(graph, order.target, stages), key, graph)
    code = compile_here(graph, order.target if order.fuse else None, stages)
    return _kept(code, key, graph) if code.stands_alone else code


def _compiled_apart(graph: ModelGraph, made_for: Target, stages: dict[str, float]) -> Code:
    answer, entry = compile_apart(graph, made_for)
    stages |= answer.stages
    code = code_of(entry, loaded_once(answer.kernel), stages)
    return replace(code, from_cache=False, peak_bytes=answer.peak_bytes)


def _kept(code: Code, key: str | None, graph: ModelGraph) -> Code:
    if key is None:
        return code
    keep(key, code, graph)
    return replace(code, key=key)


def _recall(graph: ModelGraph, made_for: Target, stages: dict[str, float]) -> tuple[str | None, Code | None]:
    """Look in the cache before anything is rewritten or compiled."""
    with stage(stages, "fingerprint"):
        key = cache_key(graph, made_for)
    if key is None:
        return None, None
    with stage(stages, "load"):
        found = find(key, made_for, stages)
    if found is None:
        del stages["load"]
    return key, found


def compile_likelihood(graph: ModelGraph, made_for: Target) -> Code:
    """Compile what computes the log likelihood of each observation from draws, in the form of `expand`.

    Raises ModelError if the model has no observations that it knows of, or an op has neither a native nor a Python
    form.
    """
    if not graph.pointwise:
        raise ModelError(
            "The model has no observed variables, so it has no log_likelihood: leave it out of idata_kwargs."
        )
    with no_lost_interrupt(), without_c():
        return compile_graph(graph.of_likelihood(), Order(made_for))


class _Model(NamedTuple):
    """A model's functions, lowered, and the record that they read."""

    lowered: Mapping[str, Lowered]
    slots: Sequence[Slot]
    n_prepared: int
    lengths: Lengths
    by_numba: Sequence[str]  # operations in PyTensor's Numba form
    arranged: tuple[Arranged, ...] = ()
    has_tiles: bool = False


def compile_here(graph: ModelGraph, fuse_for: Target | None, stages: dict[str, float]) -> Code:
    """Compile a model in this process, whatever the cache has."""
    declare_slots()
    made_for = fuse_for or target()
    with naming_python_ops() as python_ops:
        model, native = _fused(graph, fuse_for, stages) if fuse_for else (None, None)
        if model is None or native is None:
            model = _lower(graph, stages)
    fused, in_python = native is not None, None
    if native is None:
        # Operations of PyTensor that only look up an address in Python may run side by side.
        model, in_python = _guarded(model, one_at_a_time=bool(python_ops) or graph.native_density is not None)
        native = NativeObject(link_addresses(model.lowered, made_for))
    if fuse_for and not fused and not python_ops:
        _say_that_engine_runs_it(graph)
    lowered, slots, n_prepared, lengths, by_numba, arranged, has_tiles = model
    computed = graph.computed()
    return Code(
        native=native,
        kernel=kernel_object(made_for),
        target=made_for,
        slots=slots,
        n_prepared=n_prepared,
        arranged=arranged,
        lengths=lengths,
        sites=tuple((site.parameter, site.written, site.joint) for site in graph.sites),
        expanded={name: np.dtype(variable.type.dtype) for name, variable in computed.items()},
        expanded_ranks=[variable.type.ndim for variable in computed.values()],
        stands_alone=_stands_alone(lowered, fused=fused),
        owners=() if fused else [entry.owner for entry in lowered.values()],
        fused=fused,
        python_ops=tuple(python_ops),
        has_tiles=has_tiles,
        in_python=in_python,
        lowering=graph.lowering if graph.native_density is None else "njit",
        by_numba=tuple(by_numba),
        stages=stages,
    )


def _guarded(model: _Model, *, one_at_a_time: bool) -> tuple[_Model, InPython | None]:
    """Lead to functions that run Python by way of what is returned beside the model."""
    lowered, in_python = dict(model.lowered), None
    for name, entry in model.lowered.items():
        if needs_python(entry):
            in_python = in_python or InPython(one_at_a_time=one_at_a_time)
            address, wrapped = in_python.around(entry.address, entry.n_words)
            lowered[name] = entry._replace(address=address, owner=(entry.owner, wrapped))
    return model._replace(lowered=lowered), in_python


def _say_that_engine_runs_it(graph: ModelGraph) -> None:
    """Say that code stays in Numba's engine: a surprise, unless PyTensor's forms of everything were asked for."""
    said = (
        "an op of this model looks something up in Python, so the model runs unfused, through a function pointer; "
        "draws are the same in distribution."
    )
    if graph.lowering == "numba":
        _log.info(said)
    else:
        warnings.warn(f"nutmill: {said}", stacklevel=users_level())


def _stands_alone(lowered: Mapping[str, Lowered], *, fused: bool) -> bool:
    """Whether the code means the same in another process."""
    has_addresses = any(entry.has_addresses for entry in lowered.values())
    if not fused or has_addresses:
        what = "it holds addresses of this process" if has_addresses else "it needs Python or Numba's engine"
        _log.info("this model's code is not cached: %s", what)
    return fused and not has_addresses


def _fused(graph: ModelGraph, made_for: Target, stages: dict[str, float]) -> tuple[_Model, NativeObject | None]:
    """Link the model's functions into an object; None in its place if their code needs Python."""
    with bitcode_only():
        model = _lower(graph, stages)
    tidy_up(graph)
    with stage(stages, "link"):
        try:
            return model, NativeObject(link_model(model.lowered, made_for))
        except Unlinkable:
            return model, None


def _lower(graph: ModelGraph, stages: dict[str, float]) -> _Model:
    # The cache of whole models takes the place of PyTensor's cache of single operations; and nobody reads where in
    # PyTensor's rewrites a variable was made, which takes a tenth of their time to note.
    with config.change_flags(numba__cache=False, traceback__limit=0, traceback__compile_limit=0):
        if graph.logp is not None:
            return _lower_graph(graph, stages)
        if graph.native_density is not None:
            return _lower_native(graph, graph.native_density, stages)
        return _lower_likelihood(graph, stages)


def _lower_graph(graph: ModelGraph, stages: dict[str, float]) -> _Model:
    way = WAYS[graph.lowering]
    parameters, arrays = _inputs(graph)
    computed = list(graph.computed().values())
    centrednesses = [site.centredness for site in graph.sites]
    located = [*(site.location for site in graph.sites), *(site.log_scale for site in graph.sites)]
    given = [*parameters, *centrednesses]  # which change from call to call, as parameters do
    arithmetic = Arithmetic(arrays)
    with stage(stages, "rewrite"):
        density = way.rewrite(given, arrays, density_outputs(graph), hoist=True, arithmetic=arithmetic)
        expand = way.rewrite(parameters, arrays, computed, hoist=False)
        sites = way.rewrite(given, arrays, located, hoist=False) if located else None
        prepare = prepared(way, arrays, density, arithmetic)
    tidy_up(graph)
    places = placed(parameters, [*arrays, *centrednesses], density, prepare, arithmetic)
    with stage(stages, "lower"), noting_foreign() as by_numba:
        lowered = {"density": lower.density_entry(way.function(density.fgraph, numbers=True), places.of(density))}
        if computed:
            lowered["expand"] = lower.expand_entry(way.function(expand.fgraph, numbers=True), places.of(expand))
        if prepare:
            lowered["prepare"] = lower.prepare_entry(way.function(prepare.fgraph), places.of(prepare))
        if sites:
            of_sites = [site.parameter for site in graph.sites]
            lowered["sites"] = lower.sites_entry(way.function(sites.fgraph), places.of(sites), of_sites)
    slots = list(places.slots.values())
    has_tiles = any(isinstance(node.op, RowTiles) for node in density.fgraph.apply_nodes)
    return _Model(lowered, slots, len(density.hoisted), places.lengths, list(by_numba), places.arranged, has_tiles)


def _lower_likelihood(graph: ModelGraph, stages: dict[str, float]) -> _Model:
    way = WAYS[graph.lowering]
    parameters, arrays = _inputs(graph)
    arithmetic = Arithmetic(arrays)
    with stage(stages, "rewrite"):
        computed = list(graph.computed().values())
        expand = way.rewrite(parameters, arrays, computed, hoist=True, arithmetic=arithmetic)
        prepare = prepared(way, arrays, expand, arithmetic)
    places = placed(parameters, arrays, expand, prepare, arithmetic)
    with stage(stages, "lower"), noting_foreign() as by_numba:
        lowered = {"expand": lower.expand_entry(way.function(expand.fgraph, numbers=True), places.of(expand))}
        if prepare:
            lowered["prepare"] = lower.prepare_entry(way.function(prepare.fgraph), places.of(prepare))
    slots = list(places.slots.values())
    return _Model(lowered, slots, len(expand.hoisted), places.lengths, list(by_numba), places.arranged)


def _inputs(graph: ModelGraph) -> tuple[list[Variable], list[Variable]]:
    return [parameter.variable for parameter in graph.parameters], [array.variable for array in graph.arrays]


def _lower_native(graph: ModelGraph, density: Callable, stages: dict[str, float]) -> _Model:
    slots = layout(*map(kinds, _inputs(graph)))
    with stage(stages, "lower"):
        entry = lower.native_density_entry(density, slots, data_is_tuple=graph.data_is_tuple)
    return _Model({"density": entry}, slots, 0, Lengths(), [])


def density_outputs(graph: ModelGraph) -> list[Variable]:
    """Give the log density and its gradient; raises ModelError if there is none of either."""
    if graph.logp is None:
        raise ModelError("The model has no log density that PyTensor knows.")
    if graph.logp.type.ndim != 0:
        raise ModelError(f"The log density must be a scalar, not an array of rank {graph.logp.type.ndim}: sum it.")
    parameters = [parameter.variable for parameter in graph.parameters]
    logp = simplify(pt.cast(graph.logp, "float64"), ours=graph.lowering == "nutmill", parameters=parameters)
    if graph.dtype == "float32":
        logp = in_single(logp)
    try:
        gradients = grad(logp, parameters, disconnected_inputs="ignore")
    except (NotImplementedError, TypeError, ValueError) as error:
        reason = first_line(error).rstrip(".")
        raise ModelError(
            f"The model has no gradient, which NUTS needs: {reason}. Write it with PyTensor's operations, give the Op "
            "its gradient, or sample without: pm.sample(step=pm.DEMetropolisZ())."
        ) from error
    return [logp, *gradients]
