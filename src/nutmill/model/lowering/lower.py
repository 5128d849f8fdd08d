"""From a PyTensor graph to LLVM bitcode: entries of plain words, written around the operations of the graph.

Every entry takes plain 64-bit words (addresses and counts), so that C, ctypes and our own kernel call it alike:

    density(q, lp, gradient, record)
    sites(q, location, log_scale, record)
    expand(q, n_draws, out, row_bytes, shapes, record)
    prepare(out, shapes, record)

`out == 0` asks `expand` and `prepare` for the shapes of their outputs only. Outputs are packed: each begins at the
next multiple of eight bytes, in its own dtype.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils

from nutmill.errors import Status
from nutmill.model.lowering.entries import written
from nutmill.model.lowering.fuse import Lowered
from nutmill.model.lowering.inline.arrays import ONE, WORD, ZERO, Emitter, Value
from nutmill.model.lowering.inline.operation import call_of
from nutmill.model.lowering.inline.steps import Program, call_program
from nutmill.model.lowering.marshalling import (
    arguments,
    describe,
    fit,
    n_dim,
    pack,
    store_gradient,
    store_pieces,
    word_at,
)
from nutmill.native.record import ENTRY_WORDS, TEAMS_WORD, Slot

Graph = Program | Callable  # operations that nutmill writes, or a function of Numba's


def density_entry(graph: Graph, slots: Sequence[Slot]) -> Lowered:
    """Wrap `graph(*parameters, *arrays) -> (logp, *gradients)` as `density`."""
    parameters = [slot for slot in slots if slot.is_parameter]

    def density(emitter: Emitter, words: Sequence[ir.Value]) -> None:
        q, *places = words
        helped = emitter._replace(teams=word_at(emitter, places[-1], TEAMS_WORD))
        outputs = _computed(graph, helped, arguments(emitter, slots, q, places[-1]))
        store_gradient(emitter, parameters, outputs, places)
        _give_back(emitter, outputs)

    return _entry("density", graph, density)


def sites_entry(graph: Graph, slots: Sequence[Slot], parameters: Sequence[int]) -> Lowered:
    """Wrap `graph(*parameters, *arrays) -> (*locations, *log_scales)` of some parameters as `sites`.

    It writes where these parameters lie in the position, and nothing elsewhere.
    """
    places = [slots[parameter] for parameter in parameters]

    def sites(emitter: Emitter, words: Sequence[ir.Value]) -> None:
        q, location, log_scale, record = words
        outputs = _computed(graph, emitter, arguments(emitter, slots, q, record))
        store_pieces(emitter, places, outputs[: len(places)], (location, record))
        store_pieces(emitter, places, outputs[len(places) :], (log_scale, record))
        _give_back(emitter, outputs)

    return _entry("sites", graph, sites)


def native_density_entry(native: Callable, slots: Sequence[Slot], *, data_is_tuple: bool) -> Lowered:
    """Wrap a user's njit `native(q, gradient, data) -> logp` as `density`."""

    def density(emitter: Emitter, words: Sequence[ir.Value]) -> None:
        q, _, gradient, record = words
        position, *data = arguments(emitter, slots, q, record)
        (gradient_at, *_) = arguments(emitter, slots[:1], gradient, record)
        if data_is_tuple:
            kind = types.Tuple([array.kind for array in data])
            data = [Value(kind, emitter.context.make_tuple(emitter.builder, kind, [array.value for array in data]))]
        lp = _called(native, emitter, [position, gradient_at, data[0]])
        store_gradient(emitter, [], [lp], words[1:])
        _give_back(emitter, [lp])

    return _entry("density", native, density)


def expand_entry(graph: Graph, slots: Sequence[Slot]) -> Lowered:
    """Wrap `graph(*parameters, *arrays) -> outputs` as `expand`, a loop over draws."""

    def expand(emitter: Emitter, words: Sequence[ir.Value]) -> None:
        q, n_draws, out, row_bytes, shapes, record = words
        builder = emitter.builder
        draw_bytes = builder.mul(WORD(8), n_dim(emitter, slots, record))
        count = builder.select(_wants_shapes(emitter, out), ONE, n_draws)
        with cgutils.for_range(builder, count) as draws:
            at = builder.add(q, builder.mul(draws.index, draw_bytes))
            outputs = _computed(graph, emitter, arguments(emitter, slots, at, record))
            _hand_out(emitter, outputs, out, shapes, builder.mul(draws.index, row_bytes))

    return _entry("expand", graph, expand)


def prepare_entry(graph: Graph, slots: Sequence[Slot]) -> Lowered:
    """Wrap `graph(*arrays) -> outputs` as `prepare`."""

    def prepare(emitter: Emitter, words: Sequence[ir.Value]) -> None:
        out, shapes, record = words
        outputs = _computed(graph, emitter, arguments(emitter, slots, ZERO, record))
        _hand_out(emitter, outputs, out, shapes, ZERO)

    return _entry("prepare", graph, prepare)


def _entry(name: str, graph: Graph, body: Callable[[Emitter, Sequence[ir.Value]], None]) -> Lowered:
    entry = written(name, ENTRY_WORDS[name], body, fast=isinstance(graph, Program))
    return entry._replace(owner=(entry.owner, graph))  # Python that the graph's functions call lives as long


def _computed(graph: Graph, emitter: Emitter, given: Sequence[Value]) -> list[Value]:
    """Call a graph; the outputs are references that the caller owns."""
    if isinstance(graph, Program):
        return call_program(graph, emitter, [each.kind for each in given], [each.value for each in given])
    outputs = _called(graph, emitter, given)
    values = cgutils.unpack_tuple(emitter.builder, outputs.value, len(outputs.kind))
    return [Value(*output) for output in zip(outputs.kind, values, strict=True)]


def _called(function: Callable, emitter: Emitter, given: Sequence[Value]) -> Value:
    kinds, values = [each.kind for each in given], [each.value for each in given]
    call = call_of(function, 1)
    return Value(call.result(kinds), call.emit(emitter, kinds, values))


def _wants_shapes(emitter: Emitter, out: ir.Value) -> ir.Value:
    """Whether the caller wants the shapes of the outputs alone."""
    return emitter.builder.icmp_unsigned("==", out, ZERO)


def _hand_out(emitter: Emitter, outputs: Sequence[Value], out: ir.Value, shapes: ir.Value, offset: ir.Value) -> None:
    """Describe the outputs, or copy them to where the caller wants them."""
    builder = emitter.builder
    with builder.if_else(_wants_shapes(emitter, out)) as (shapes_only, otherwise):
        with shapes_only:
            describe(emitter, outputs, shapes)
        with otherwise:
            with builder.if_then(builder.not_(fit(emitter, outputs, shapes)), likely=False):
                emitter.context.call_conv.return_value(builder, WORD(int(Status.BAD_SHAPE)))
            pack(emitter, outputs, builder.add(out, offset))
    _give_back(emitter, outputs)


def _give_back(emitter: Emitter, outputs: Sequence[Value]) -> None:
    for output in outputs:
        emitter.context.nrt.decref(emitter.builder, output.kind, output.value)
