"""Takes arithmetic on lengths of data out of a graph: `native.lengths` does it when data are bound.

PyTensor asks for lengths by branches, which do not fold where lengths are open: two sequences of a loop are some
hundred operations, and their gradient repeats them.
"""

from collections.abc import Mapping, Sequence

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar import basic as ps
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import ScalarFromTensor, TensorFromScalar, scalar_from_tensor
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.shape import Shape_i
from pytensor.tensor.type import TensorType, scalar

from nutmill.model.graphs.properties import is_known
from nutmill.native.lengths import CONSTANT, DTYPES, FRACTIONAL, LEAVES, LENGTH, VALUE, WHOLE, Lengths, LengthStep

_OPERATIONS: dict[type[ps.ScalarOp], str] = {
    ps.Add: "add",
    ps.Mul: "mul",
    ps.Sub: "sub",
    ps.IntDiv: "floor_divide",
    ps.Mod: "remainder",
    ps.Neg: "neg",
    ps.Abs: "abs",
    ps.Sign: "sign",
    ps.ScalarMinimum: "minimum",
    ps.ScalarMaximum: "maximum",
    ps.Switch: "switch",
    ps.EQ: "eq",
    ps.NEQ: "ne",
    ps.LT: "lt",
    ps.LE: "le",
    ps.GT: "gt",
    ps.GE: "ge",
    ps.AND: "and",
    ps.OR: "or",
    ps.XOR: "xor",
    ps.Identity: "same",
    ps.Cast: "same",
}
# NumPy has no sums of truth values, and other minima of them than of numbers.
_OF_TRUTH = {"switch", "eq", "ne", "and", "or", "xor", "same", "check"}


class Arithmetic:
    """Arithmetic on lengths of the same data, out of one graph or several.

    `arrays` are the data, in the order of the record.
    """

    def __init__(self, arrays: Sequence[Variable]):
        self._arrays = {array: number for number, array in enumerate(arrays)}
        self._steps: list[LengthStep] = []
        self._numbers: dict[LengthStep, int] = {}
        self._results: dict[int, Variable] = {}

    @property
    def inputs(self) -> list[Variable]:
        """What stands in the graphs for the results."""
        return list(self._results.values())

    def lengths(self, inputs: Sequence[Variable]) -> Lengths:
        """Give what some of the inputs stand for in plain values."""
        results = [number for variable in inputs for number, result in self._results.items() if result is variable]
        needed = set(results)
        for number, step in reversed(list(enumerate(self._steps))):
            if number in needed and step.op not in LEAVES:
                needed.update(step.operands)
        places = {number: place for place, number in enumerate(sorted(needed))}
        kept = [_renumbered(self._steps[number], places) for number in places]
        return Lengths(tuple(kept), tuple(places[number] for number in results))

    def take_out(self, fgraph: FunctionGraph, given: Mapping[Variable, Variable]) -> None:
        """Replace by inputs what a graph computes from lengths alone and needs for something else.

        `given` says of inputs of the graph which array, or input of this arithmetic, they are, unless they are that
        themselves.
        """
        there = {given.get(variable, variable): variable for variable in fgraph.inputs}
        found = self._found(fgraph, given)
        for variable, number in found.items():
            if self._is_at_hand(fgraph, variable, number) or not _is_read(fgraph, variable, found):
                continue
            result = self._result(number)
            mine = there.setdefault(result, result)
            fgraph.add_input(mine)
            is_scalar = isinstance(variable.type, ScalarType)
            fgraph.replace(
                variable, scalar_from_tensor(mine) if is_scalar else mine, reason="lengths", import_missing=True
            )

    def _found(self, fgraph: FunctionGraph, given: Mapping[Variable, Variable]) -> dict[Variable, int]:
        """Number the steps that the variables of a graph are."""
        originals = {variable: given.get(variable, variable) for variable in fgraph.inputs}
        results = {result: number for number, result in self._results.items()}
        found = {variable: results[original] for variable, original in originals.items() if original in results}
        for variable, original in originals.items():
            dtype = _dtype(variable)
            if original in self._arrays and dtype in WHOLE:
                found[variable] = self._number(LengthStep(VALUE, dtype, (self._arrays[original],)))
        for node in fgraph.toposort():
            if isinstance(node.op, Shape_i):
                array = self._arrays.get(originals.get(node.inputs[0]))
                step: LengthStep | int | None = (
                    None if array is None else LengthStep(LENGTH, "int64", (array, node.op.i))
                )
            else:
                step = self._step(node, found)
            if step is not None:
                found[node.outputs[0]] = step if isinstance(step, int) else self._number(step)
        return found

    def _step(self, node: Apply, found: Mapping[Variable, int]) -> LengthStep | int | None:
        """Make the step that a node is, or find it; None if it is none."""
        numbers = [self._constant(v) if isinstance(v, Constant) else found.get(v) for v in node.inputs]
        operands = [number for number in numbers if number is not None]
        if len(operands) < len(numbers) or not operands or len(node.outputs) != 1:
            return None
        if isinstance(node.op, ScalarFromTensor | TensorFromScalar):
            return operands[0]
        dtype, name = _dtype(node.outputs[0]), _name(node)
        dtypes = [_dtype(variable) for variable in node.inputs]
        if name is None or dtype not in DTYPES or not is_known(node.op):
            return None
        if "float64" in (dtype, *dtypes) and (dtype != "float64" or name not in FRACTIONAL):
            return None
        return LengthStep(name, dtype, tuple(operands))

    def _constant(self, constant: Constant) -> int | None:
        dtype = _dtype(constant)
        return self._number(LengthStep(CONSTANT, dtype, (int(constant.data),))) if dtype in WHOLE else None

    def _number(self, step: LengthStep) -> int:
        if step not in self._numbers:
            self._numbers[step] = len(self._steps)
            self._steps.append(step)
        return self._numbers[step]

    def _result(self, number: int) -> Variable:
        if number not in self._results:
            self._results[number] = scalar(dtype=self._steps[number].dtype)
        return self._results[number]

    def _is_at_hand(self, fgraph: FunctionGraph, variable: Variable, number: int) -> bool:
        """Whether a variable is in the record, as an input or as a length of one."""
        node = variable.owner
        if node is None or self._steps[number].op in LEAVES:
            return True
        return isinstance(node.op, ScalarFromTensor) and node.inputs[0] in fgraph.inputs


def _renumbered(step: LengthStep, places: Mapping[int, int]) -> LengthStep:
    return step if step.op in LEAVES else step._replace(operands=tuple(places[number] for number in step.operands))


def _is_read(fgraph: FunctionGraph, variable: Variable, found: Mapping[Variable, int]) -> bool:
    """Whether something that is no step reads a variable."""
    return any(not any(result in found for result in client.outputs) for client, _ in fgraph.clients[variable])


def _name(node: Apply) -> str | None:
    """Name what a node does to numbers; None if that has no name."""
    if isinstance(node.op, CheckAndRaise):
        return "check"
    op = node.op.scalar_op if isinstance(node.op, Elemwise) else node.op
    dtypes = {_dtype(variable) for variable in node.inputs}
    if isinstance(op, ps.Invert):
        return "not" if dtypes == {"bool"} else "complement"
    name = _OPERATIONS.get(type(op))
    return None if dtypes == {"bool"} and name not in _OF_TRUTH else name


def _dtype(variable: Variable) -> str | None:
    """Dtype of a number; None if a variable is none."""
    is_number = isinstance(variable.type, ScalarType) or (
        isinstance(variable.type, TensorType) and variable.type.ndim == 0
    )
    return variable.type.dtype if is_number else None
