"""PyTensor's `Scan` as a loop: the step is written in its body, and reads and writes the arrays of the graph in place.

What a step makes lies on the stack or in memory that is allocated once. The gradient of a scan is a scan as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain

from llvmlite import ir
from numba import types
from numba.core import cgutils
from pytensor.graph.basic import Apply
from pytensor.scalar.basic import ScalarType
from pytensor.scan.op import Scan, ScanInfo
from pytensor.tensor.type import TensorType

from nutmill.model.lowering.inline.arrays import (
    ONE,
    ZERO,
    Emitter,
    Value,
    array_kind,
    integer,
    scalar,
    view_of,
)
from nutmill.model.lowering.inline.filling import copy
from nutmill.model.lowering.inline.operation import Operation, kind_of_results, one_or_several
from nutmill.model.lowering.inline.recursion.states import (
    Collected,
    KeptState,
    Recursion,
    SequenceRows,
    TappedState,
    Taps,
    array_of,
    borrowed,
)
from nutmill.model.lowering.inline.step_memory import Scratch
from nutmill.model.lowering.inline.steps import StepProgram, write_program
from nutmill.model.rewriting.rewrite import step_graph

# What `ScanInfo` says in the versions of PyTensor that are known; one that says more means more.
_KNOWN = {
    *("n_seqs", "mit_mot_in_slices", "mit_mot_out_slices", "mit_sot_in_slices", "sit_sot_in_slices", "n_nit_sot"),
    *("n_untraced_sit_sot", "n_non_seqs", "as_while"),
}


def recursion(node: Apply, prepare: StepProgram) -> Operation | None:
    """Write a `Scan` node.

    `node` is of PyTensor's `Scan`. `prepare` puts the operations of the step in order, and says which outputs may share
    memory with inputs of the step.
    """
    step = node.op.fgraph
    fixed = {*node.op.outer_non_seqs(node.inputs), *node.op.inner_non_seqs(step.inputs)}
    variables = [*node.inputs, *node.outputs, *step.inputs, *step.outputs]
    are_known = all(_is_known(v.type) or (v in fixed and isinstance(v.type, ScalarType)) for v in variables)
    if {field.name for field in fields(ScanInfo)} != _KNOWN or not are_known:
        return None
    written = _WrittenScan(node, prepare)
    return Operation(written.result, written.emit)


def _is_known(kind) -> bool:
    return isinstance(kind, TensorType) and kind.numpy_dtype.kind in "biuf"


class _WrittenScan:
    def __init__(self, node: Apply, prepare: StepProgram):
        self._op: Scan = node.op
        self._node = node
        self._step, self._shares = prepare(step_graph(node.op))
        self._operands, self._results = list(range(len(node.inputs))), list(range(len(node.outputs)))
        self._inputs, self._outputs = list(range(len(self._step.inputs))), list(range(len(self._step.outputs)))
        self._taps = [*self._sums(), *self._histories()]

    def _sums(self) -> Iterator[Taps]:
        op, info = self._op, self._op.info
        numbers = iter(op.inner_mitmot(self._inputs)), iter(op.inner_mitmot_outs(self._outputs))
        arrays = zip(op.outer_mitmot(self._operands), op.outer_mitmot_outs(self._results), strict=True)
        taps = zip(info.mit_mot_in_slices, info.mit_mot_out_slices, strict=True)
        for array, (reads, writes) in zip(arrays, taps, strict=True):
            yield self._tapped(array, (reads, writes), numbers, is_history=False)

    def _histories(self) -> Iterator[Taps]:
        op, info = self._op, self._op.info
        numbers = (
            iter([*op.inner_mitsot(self._inputs), *op.inner_sitsot(self._inputs)]),
            iter([*op.inner_mitsot_outs(self._outputs), *op.inner_sitsot_outs(self._outputs)]),
        )
        operands = [*op.outer_mitsot(self._operands), *op.outer_sitsot(self._operands)]
        results = [*op.outer_mitsot_outs(self._results), *op.outer_sitsot_outs(self._results)]
        taps = [*info.mit_sot_in_slices, *info.sit_sot_in_slices]
        for *array, reads in zip(operands, results, taps, strict=True):
            yield self._tapped(array, (reads, (0,)), numbers, is_history=True)

    def _tapped(self, array: Sequence[int], taps, numbers, *, is_history: bool) -> Taps:
        (operand, result), (reads, writes) = array, taps
        oldest = min(0, *reads)
        return Taps(
            operand=operand,
            result=result,
            reads=[(next(numbers[0]), tap - oldest) for tap in reads],
            writes=[(next(numbers[1]), tap - oldest) for tap in writes],
            in_place=result in self._op.destroy_map,
            is_history=is_history,
            static=self._node.inputs[operand].type.shape,
        )

    def result(self, operands: Sequence[types.Type]) -> types.Type:
        """Type of the result, or a tuple of those of all results."""
        return kind_of_results(self._kinds(operands))

    def _kinds(self, operands: Sequence[types.Type]) -> list[types.Array]:
        kinds = {taps.result: taps.kind(operands) for taps in self._taps}
        for operand, result in self._kept():
            kinds[result] = array_of(operands[operand])
        for result in self._op.outer_nitsot_outs(self._results):
            kind = self._node.outputs[result].type
            kinds[result] = array_kind(kind.dtype, kind.ndim)
        return [kinds[result] for result in self._results]

    def _kept(self) -> list[tuple[int, int]]:
        op = self._op
        operands, results = op.outer_untraced_sit_sot(self._operands), op.outer_untraced_sit_sot_outs(self._results)
        return list(zip(operands, results, strict=True))

    def emit(self, emitter: Emitter, kinds: Sequence[types.Type], values: Sequence[ir.Value]) -> ir.Value:
        """Write the loop."""
        given = [Value(*each) for each in zip(kinds, values, strict=True)]
        scratch = emitter.scratch or Scratch()
        inside = emitter._replace(scratch=scratch)
        made = Recursion(emitter, inside, self._n_steps(emitter, given), self._op.info.as_while)
        sequences, fixed, states = self._sequences(made, given), self._fixed(inside, given), self._states(made, given)

        def write_step(step: ir.Value) -> ir.Value | None:
            read = [state.read(step) for state in (*sequences, *states.values())]
            outputs = self._outputs_of_step(inside, {**fixed, **dict(chain(*(inputs.items() for inputs in read)))})
            numbers = [self._number(inside, *each) for each in zip(outputs, self._shares, strict=True)]
            for state in states.values():
                state.write(step, numbers)
            for output in outputs:
                inside.context.nrt.decref(inside.builder, *output)
            return self._is_last(inside, numbers[-1]) if made.may_end_early else None

        count = _repeat(emitter.builder, made.n_steps, write_step)
        results = [states[result].end(count).value for result in self._results]
        if scratch is not emitter.scratch:
            scratch.release(emitter.context, emitter.builder)
        return one_or_several(results)

    def _n_steps(self, emitter: Emitter, given: Sequence[Value]) -> ir.Value:
        """How many steps are asked for; none of a gradient whose sequences are empty, where PyTensor 2 asks for one."""
        builder, n_steps = emitter.builder, integer(emitter, *given[0])
        if not self._op.info.n_mit_mot:
            return n_steps
        is_one = builder.icmp_signed("==", n_steps, ONE)
        for number in self._op.outer_seqs(self._operands):
            is_empty = builder.icmp_signed("==", view_of(emitter, *given[number]).shape[0], ZERO)
            n_steps = builder.select(builder.and_(is_one, is_empty), ZERO, n_steps)
        return n_steps

    def _sequences(self, made: Recursion, given: Sequence[Value]) -> list[SequenceRows]:
        op = self._op
        pairs = zip(op.inner_seqs(self._inputs), op.outer_seqs(self._operands), strict=True)
        return [SequenceRows(made, number, given[k], self._node.inputs[k].type.shape) for number, k in pairs]

    def _fixed(self, inside: Emitter, given: Sequence[Value]) -> dict[int, Value]:
        op = self._op
        pairs = zip(op.inner_non_seqs(self._inputs), op.outer_non_seqs(self._operands), strict=True)
        return {number: borrowed(inside, given[k], self._node.inputs[k].type.shape) for number, k in pairs}

    def _states(self, made: Recursion, given: Sequence[Value]) -> dict[int, TappedState | KeptState | Collected]:
        """By number of the result."""
        op = self._op
        states: dict[int, TappedState | KeptState | Collected] = {
            taps.result: TappedState(made, taps, given[taps.operand]) for taps in self._taps
        }
        kept = zip(op.inner_untraced_sit_sot(self._inputs), op.inner_untraced_sit_sot_outs(self._outputs), strict=True)
        for numbers, (operand, result) in zip(kept, self._kept(), strict=True):
            states[result] = KeptState(made, (*numbers, result), given[operand])
        outputs, results = op.inner_nitsot_outs(self._outputs), op.outer_nitsot_outs(self._results)
        for output, result, operand in zip(outputs, results, op.outer_nitsot(self._operands), strict=True):
            states[result] = Collected(made, (output, result), given[operand], self._step.outputs[output].type)
        return states

    def _outputs_of_step(self, inside: Emitter, inputs: Mapping[int, Value]) -> list[Value]:
        given = [inputs[number] for number in self._inputs]
        return write_program(self._step, inside, [each.kind for each in given], [each.value for each in given])

    def _number(self, inside: Emitter, output: Value, shares: bool) -> Value:
        """What is kept of an output: a number is loaded, and what lies where states are written is copied before."""
        kind, value = output
        if not isinstance(kind, types.Array):
            return output
        if kind.ndim == 0:
            return Value(*scalar(inside, kind, value))
        return (
            Value(array_of(kind), copy(inside, view_of(inside, kind, value), array_of(kind))[0]) if shares else output
        )

    def _is_last(self, inside: Emitter, condition: Value) -> ir.Value:
        return inside.context.cast(inside.builder, condition.value, condition.kind, types.boolean)


def _repeat(builder: ir.IRBuilder, n_steps: ir.Value, write_step: Callable[[ir.Value], ir.Value | None]) -> ir.Value:
    """Write a loop over steps, which ends with the one said to be the last; returns how many there were."""
    count = cgutils.alloca_once_value(builder, ZERO)
    head, body, end = (builder.append_basic_block(f"steps.{name}") for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    step = builder.load(count)
    builder.cbranch(builder.icmp_signed("<", step, n_steps), body, end)
    builder.position_at_end(body)
    is_last = write_step(step)
    builder.store(builder.add(step, ONE), count)
    if is_last is None:
        builder.branch(head)
    else:
        builder.cbranch(is_last, end, head)
    builder.position_at_end(end)
    return builder.load(count)
