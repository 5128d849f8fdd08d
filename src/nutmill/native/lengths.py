"""Arithmetic on lengths of data, as plain values: it is evaluated when data are bound, and compiled nowhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, neg, or_, sub, xor
from typing import NamedTuple

import numpy as np


class CheckFailed(Exception):
    """A check that the model makes of the lengths of its data does not hold."""


class LengthStep(NamedTuple):
    """One operation on numbers."""

    # `LENGTH` of an axis of an array, the `VALUE` of an array without axes, a `CONSTANT`, or one of `OPERATIONS`.
    op: str
    dtype: str  # of its result
    operands: tuple[int, ...]  # numbers of earlier steps; for the first three: array and axis, array, value


LENGTH, VALUE, CONSTANT = "length", "value", "constant"

LEAVES = (LENGTH, VALUE, CONSTANT)

WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
DTYPES = (*WHOLE, "float64")


def _first_if_all(value: int, *checks: int) -> int:
    if not all(checks):
        raise CheckFailed
    return value


def _of_all(function: Callable[[int, int], int]) -> Callable[..., int]:
    return lambda *values: reduce(function, values)


# Whole numbers are exact here, and have the bits of their dtype afterwards. A division by zero, of a branch that is
# not taken, is zero, as in NumPy.
_FUNCTIONS: dict[str, tuple[int | None, Callable]] = {  # how many operands, None for any number of them, at least one
    "add": (None, _of_all(add)),
    "mul": (None, _of_all(mul)),
    "and": (None, _of_all(and_)),
    "or": (None, _of_all(or_)),
    "xor": (None, _of_all(xor)),
    "minimum": (None, min),
    "maximum": (None, max),
    "check": (None, _first_if_all),
    "sub": (2, sub),
    "floor_divide": (2, lambda a, b: a // b if b else 0),
    "remainder": (2, lambda a, b: a % b if b else 0),
    "eq": (2, eq),
    "ne": (2, ne),
    "lt": (2, lt),
    "le": (2, le),
    "gt": (2, gt),
    "ge": (2, ge),
    "neg": (1, neg),
    "abs": (1, abs),
    "sign": (1, lambda a: (a > 0) - (a < 0)),
    "same": (1, lambda a: a),  # in its dtype, which may be another
    "not": (1, lambda a: not a),
    "complement": (1, lambda a: ~a),
    "switch": (3, lambda condition, a, b: a if condition else b),
}
OPERATIONS = frozenset(_FUNCTIONS)
FRACTIONAL = ("same", "neg")  # what gives and takes "float64", too

_RANGES = {dtype: (int(np.iinfo(dtype).min), 1 << 8 * np.dtype(dtype).itemsize) for dtype in WHOLE[1:]}


@dataclass(frozen=True)
class Lengths:
    """Numbers that depend on data alone, mostly on their lengths."""

    steps: tuple[LengthStep, ...] = ()  # in the order in which they are evaluated
    results: tuple[int, ...] = ()  # the numbers of the steps whose values native code reads

    def evaluate(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Compute the results for these data, each an array without axes; raises CheckFailed."""
        values: list[int | float] = []
        for op, dtype, operands in self.steps:
            if op == LENGTH:
                value = arrays[operands[0]].shape[operands[1]]
            elif op == VALUE:
                value = arrays[operands[0]].item()
            elif op == CONSTANT:
                value = operands[0]
            else:
                value = _FUNCTIONS[op][1](*[values[number] for number in operands])
            values.append(_in_dtype(value, dtype))
        return [np.array(values[number], dtype=self.steps[number].dtype) for number in self.results]

    def facts(self) -> dict:
        """All that `lengths_of` needs, as JSON can say it."""
        return {"steps": [[*step[:2], list(step.operands)] for step in self.steps], "results": list(self.results)}


def lengths_of(facts: Mapping, arrays: Sequence[tuple[np.dtype, int]]) -> Lengths:
    """Make lengths of their facts, and dtype and rank of each array; raises ValueError if they make no sense."""
    steps: list[LengthStep] = []
    for op, dtype, operands in facts["steps"]:
        step = LengthStep(op, dtype, tuple(operands))
        if (
            dtype not in DTYPES
            or not all(type(operand) is int for operand in operands)
            or not _fits(step, steps, arrays)
        ):
            raise ValueError(f"step {len(steps)} of the arithmetic on lengths makes no sense")
        steps.append(step)
    results = tuple(facts["results"])
    if not all(is_index(number, len(steps)) for number in results):
        raise ValueError("the arithmetic on lengths lacks results")
    return Lengths(tuple(steps), results)


def _fits(step: LengthStep, before: Sequence[LengthStep], arrays: Sequence[tuple[np.dtype, int]]) -> bool:
    """Whether a step can be evaluated, whatever the data are."""
    op, dtype, operands = step
    if op == CONSTANT:
        return len(operands) == 1 and dtype != "float64"
    if op in (LENGTH, VALUE):
        n_operands = 2 if op == LENGTH else 1
        if len(operands) != n_operands or dtype == "float64" or not is_index(operands[0], len(arrays)):
            return False
        array_dtype, rank = arrays[operands[0]]
        return is_index(operands[1], rank) if op == LENGTH else rank == 0 and array_dtype.name == dtype
    if op not in OPERATIONS or not operands or not all(is_index(number, len(before)) for number in operands):
        return False
    fractional = any(before[number].dtype == "float64" for number in operands)
    if fractional or dtype == "float64":
        return op in FRACTIONAL and dtype == "float64" and len(operands) == 1
    return _FUNCTIONS[op][0] in (None, len(operands))


def is_index(number: object, length: int) -> bool:
    """Whether what a file says is the number of one of so many things."""
    return type(number) is int and 0 <= number < length


def _in_dtype(value: float, dtype: str) -> int | float:
    """Give a number the bits that it has in a dtype."""
    if dtype == "float64":
        return float(value)
    if dtype == "bool":
        return int(bool(value))
    lowest, n_values = _RANGES[dtype]
    return (value - lowest) % n_values + lowest
