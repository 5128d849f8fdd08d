"""A scalar operation, or a composite of many, written where it is called; Numba compiles what has no rule."""

from collections.abc import Callable, Sequence, Set

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.scalar.basic import Composite, ScalarOp, get_scalar_type
from pytensor.scalar.loop import ScalarLoop

from nutmill.model.graphs.hierarchies.widths import LogWidth
from nutmill.model.graphs.properties import is_known
from nutmill.model.lowering.inline.arrays import Emitter, numba_dtype
from nutmill.model.lowering.inline.elements.scalar_rules import Rule, rule_of, squared_width
from nutmill.model.lowering.inline.elements.special_functions import special_rule
from nutmill.model.lowering.inline.foreign import foreign_form
from nutmill.model.lowering.inline.operation import call_of


class Scalar:
    """A scalar operation made ready to be written.

    Parameters
    ----------
    dtypes : sequence of str
        Of its operands.

    Attributes
    ----------
    dtypes : list of str
        Of its results.
    log_widths : set of int
        Which of its results are logarithms of widths that nothing in it reads.
    """

    def __init__(self, op: ScalarOp, dtypes: Sequence[str]):
        node = op.make_node(*(get_scalar_type(dtype)() for dtype in dtypes))
        op = node.op  # a composite made for other dtypes is made anew for these
        whole = op.fgraph if isinstance(op, Composite) else FunctionGraph(node.inputs, node.outputs, clone=False)
        self.dtypes = [variable.type.dtype for variable in whole.outputs]
        self._graph = _ScalarGraph(whole)
        self.log_widths = self._graph.log_widths

    def emit(self, emitter: Emitter, values: Sequence[ir.Value], squared: Set[int] = frozenset()) -> list[ir.Value]:
        """Write the operation on numbers of the operands' dtypes; returns one number for each result.

        Of the results in `squared`, all among `log_widths`, it is the squared width.
        """
        return self._graph.emit(emitter, values, squared)


class _ScalarGraph:
    """A graph of scalar operations."""

    def __init__(self, fgraph: FunctionGraph):
        self._sources, self._results = list(fgraph.inputs), list(fgraph.outputs)
        self._parts = [(part, _rule(part)) for part in fgraph.toposort()]
        read = {variable for part, _ in self._parts for variable in part.inputs}
        self.log_widths = {
            number
            for number, variable in enumerate(self._results)
            if variable.owner is not None and isinstance(variable.owner.op, LogWidth) and variable not in read
        }

    def emit(self, emitter: Emitter, values: Sequence[ir.Value], squared: Set[int] = frozenset()) -> list[ir.Value]:
        known = dict(zip(self._sources, values, strict=True))
        unlogged = {self._results[number].owner for number in squared}
        for part, usual in self._parts:
            rule = squared_width if part in unlogged else usual
            results = rule(emitter, part, [_value(emitter, v, known) for v in part.inputs])
            known.update(zip(part.outputs, results, strict=True))
        return [_value(emitter, v, known) for v in self._results]


def _value(emitter: Emitter, variable, known: dict) -> ir.Value:
    if isinstance(variable, Constant):
        return emitter.context.get_constant(numba_dtype(variable.type.dtype), np.asarray(variable.data).item())
    return known[variable]


def _rule(node: Apply) -> Rule:
    """How to write a node: of our own, as a composite within a composite or a loop, or by a call of Numba's form."""
    own = _own_rule(node) if is_known(node.op) else None
    return own or _by_numba(node)


def _own_rule(node: Apply) -> Rule | None:
    if isinstance(node.op, Composite):
        inner = Scalar(node.op, [v.type.dtype for v in node.inputs])
        return lambda emitter, _, values: inner.emit(emitter, values)
    if isinstance(node.op, ScalarLoop):
        return _repeating(node.op)
    return rule_of(node) or special_rule(node)


def _by_numba(node: Apply) -> Rule:
    function = foreign_form(node)
    return _calling(function if isinstance(function, Dispatcher) else numba_njit(function))


def _repeating(op: ScalarLoop) -> Rule:
    """A rule that repeats a step on numbers that it carries, until its last result is true if it has such a one."""
    step = _ScalarGraph(op.fgraph)
    n_carried = len(op.outputs) - op.is_while

    def rule(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
        builder = emitter.builder
        count, carried, fixed = values[0], values[1 : 1 + n_carried], values[1 + n_carried :]
        count = emitter.context.cast(builder, count, numba_dtype(node.inputs[0].type.dtype), types.int64)
        registers = [cgutils.alloca_once_value(builder, value) for value in carried]
        if op.is_while:
            registers.append(cgutils.alloca_once_value(builder, cgutils.false_bit))
        with cgutils.for_range(builder, count) as loop:
            current = [builder.load(register) for register in registers[:n_carried]]
            for register, result in zip(registers, step.emit(emitter, [*current, *fixed]), strict=True):
                builder.store(result, register)
            if op.is_while:
                with builder.if_then(builder.load(registers[-1])):
                    loop.do_break()
        return [builder.load(register) for register in registers]

    return rule


def _calling(function: Callable) -> Rule:
    call = call_of(function, n_results=1)

    def rule(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
        operands = [numba_dtype(v.type.dtype) for v in node.inputs]
        result = call.emit(emitter, operands, values)
        out = numba_dtype(node.outputs[0].type.dtype)
        return [emitter.context.cast(emitter.builder, result, call.result(operands), out)]

    return rule
