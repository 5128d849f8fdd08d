"""Scalar operations as IR: arithmetic, comparisons, and functions that LLVM or the C library has."""

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from pytensor.graph.basic import Apply
from pytensor.scalar import basic as scalar_ops
from pytensor.scalar import math as scalar_math
from pytensor.scalar.basic import upcast

from nutmill.model.graphs.hierarchies.widths import InverseWidth, LogWidth
from nutmill.model.lowering.inline.arrays import Emitter, numba_dtype

_COMPARISONS = {
    scalar_ops.LT: "<",
    scalar_ops.LE: "<=",
    scalar_ops.GT: ">",
    scalar_ops.GE: ">=",
    scalar_ops.EQ: "==",
    scalar_ops.NEQ: "!=",
}
# Functions of one number: of LLVM, where it knows what they mean, or of the C library.
_INTRINSICS = {scalar_ops.Exp: "exp", scalar_ops.Log: "log", scalar_ops.Sin: "sin", scalar_ops.Cos: "cos"}
_INTRINSICS |= {scalar_ops.Sqrt: "sqrt", scalar_ops.Abs: "fabs", scalar_ops.Floor: "floor", scalar_ops.Ceil: "ceil"}
_INTRINSICS |= {scalar_ops.Trunc: "trunc", scalar_ops.RoundHalfToEven: "rint"}
_INTRINSICS |= {scalar_ops.RoundHalfAwayFromZero: "round", scalar_ops.Exp2: "exp2"}
_LIBRARY = {scalar_ops.Log1p: "log1p", scalar_ops.Expm1: "expm1", scalar_ops.Tanh: "tanh", scalar_ops.Tan: "tan"}
_LIBRARY |= {scalar_ops.Sinh: "sinh", scalar_ops.Cosh: "cosh", scalar_ops.ArcTan: "atan", scalar_ops.Log2: "log2"}
_LIBRARY |= {scalar_ops.ArcSin: "asin", scalar_ops.ArcCos: "acos", scalar_ops.Log10: "log10"}
_LIBRARY |= {scalar_ops.ArcSinh: "asinh", scalar_ops.ArcCosh: "acosh", scalar_ops.ArcTanh: "atanh"}
_LIBRARY |= {scalar_math.Erf: "erf", scalar_math.Erfc: "erfc"}

Rule = Callable[[Emitter, Apply, Sequence[ir.Value]], Sequence[ir.Value]]


def cast(emitter: Emitter, value: ir.Value, source: str, target: str) -> ir.Value:
    """Convert a number from one dtype to another as NumPy does."""
    if source == target:
        return value
    return emitter.context.cast(emitter.builder, value, numba_dtype(source), numba_dtype(target))


def _as_outputs(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    dtype = node.outputs[0].type.dtype
    return [cast(emitter, value, v.type.dtype, dtype) for value, v in zip(values, node.inputs, strict=True)]


_ARITHMETIC = {
    scalar_ops.Add: ("fadd", "add"),
    scalar_ops.Sub: ("fsub", "sub"),
    scalar_ops.Mul: ("fmul", "mul"),
}
_LOGICAL = {scalar_ops.AND: "and_", scalar_ops.OR: "or_", scalar_ops.XOR: "xor"}
# Of booleans.
_LOGICAL |= {scalar_ops.Mul: "and_", scalar_ops.Add: "or_"}


def _arithmetic(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    is_integer = np.dtype(node.outputs[0].type.dtype).kind == "i"
    write = getattr(emitter.builder, _ARITHMETIC[type(node.op)][is_integer])
    total, *others = _as_outputs(emitter, node, values)
    for value in others:
        total = write(total, value)
    return [total]


def _logical(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    write = getattr(emitter.builder, _LOGICAL[type(node.op)])
    result, *others = _as_outputs(emitter, node, values)
    for value in others:
        result = write(result, value)
    return [result]


def _compare(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    common = upcast(*(v.type.dtype for v in node.inputs))
    a, b = (cast(emitter, value, v.type.dtype, common) for value, v in zip(values, node.inputs, strict=True))
    return [compare(emitter, _COMPARISONS[type(node.op)], common, a, b)]


def compare(emitter: Emitter, sign: str, dtype: str, a: ir.Value, b: ir.Value) -> ir.Value:
    """Compare two numbers of a dtype: NaN differs from everything, and is neither less nor greater."""
    builder, kind = emitter.builder, np.dtype(dtype).kind
    if kind == "f":
        return builder.fcmp_unordered(sign, a, b) if sign == "!=" else builder.fcmp_ordered(sign, a, b)
    # One bit as a signed number would be -1.
    return (builder.icmp_signed if kind == "i" else builder.icmp_unsigned)(sign, a, b)


def _is_true(emitter: Emitter, value: ir.Value, dtype: str) -> ir.Value:
    return cast(emitter, value, dtype, "bool")


def _switch(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    condition = _is_true(emitter, values[0], node.inputs[0].type.dtype)
    dtype = node.outputs[0].type.dtype
    yes, no = (cast(emitter, v, x.type.dtype, dtype) for v, x in zip(values[1:], node.inputs[1:], strict=True))
    return [emitter.builder.select(condition, yes, no)]


def _cast(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    return _as_outputs(emitter, node, values)


def _second(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    return _as_outputs(emitter, node, values)[1:]


def _invert(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    return [emitter.builder.not_(value) for value in _as_outputs(emitter, node, values)]


def _extreme(sign: str) -> Rule:
    """Larger or smaller of two numbers, NaN if one is NaN, as NumPy has it."""

    def rule(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
        builder = emitter.builder
        a, b = _as_outputs(emitter, node, values)
        dtype = node.outputs[0].type.dtype
        chosen = builder.select(compare(emitter, sign, dtype, a, b), a, b)
        if np.dtype(dtype).kind != "f":
            return [chosen]
        return [builder.select(builder.fcmp_unordered("uno", a, a), a, chosen)]

    return rule


def _clip(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    builder = emitter.builder
    x, low, high = _as_outputs(emitter, node, values)
    dtype = node.outputs[0].type.dtype
    above = builder.select(compare(emitter, ">", dtype, x, high), high, x)
    return [builder.select(compare(emitter, "<", dtype, x, low), low, above)]


def _negated(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    (value,) = _as_outputs(emitter, node, values)
    return [emitter.builder.neg(value)]


def _is_what(sign: str) -> Rule:
    """Whether a number is NaN, or infinite; no integer is."""

    def rule(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
        dtype = node.inputs[0].type.dtype
        if np.dtype(dtype).kind != "f":
            return [ir.IntType(1)(0)]
        if sign == "!=":
            return [emitter.builder.fcmp_unordered("uno", values[0], values[0])]
        size = cast(emitter, values[0], dtype, "float64")
        return [emitter.builder.fcmp_ordered("==", call_intrinsic(emitter, "fabs", size), number(np.inf))]

    return rule


_GENERAL = {
    scalar_ops.IsNan: _is_what("!="),
    scalar_ops.IsInf: _is_what("=="),
    scalar_ops.Switch: _switch,
    scalar_ops.Cast: _cast,
    scalar_ops.Identity: _cast,
    scalar_ops.Second: _second,
    scalar_ops.Invert: _invert,
    scalar_ops.Maximum: _extreme(">"),
    scalar_ops.Minimum: _extreme("<"),
    scalar_ops.Clip: _clip,
}


def call_library(emitter: Emitter, name: str, *values: ir.Value) -> ir.Value:
    """Call a function of the C library: that of float64, or its form for float32."""
    kind = values[0].type
    name = name + "f" if kind == ir.FloatType() else name
    signature = ir.FunctionType(kind, [kind] * len(values))
    function = cgutils.get_or_insert_function(emitter.builder.module, signature, name)
    return emitter.builder.call(function, values)


def call_intrinsic(emitter: Emitter, name: str, *values: ir.Value) -> ir.Value:
    """Call a function that LLVM knows."""
    return emitter.builder.call(emitter.builder.module.declare_intrinsic(f"llvm.{name}", [values[0].type]), values)


def _unary(call: Callable, name: str) -> Rule:
    return lambda emitter, node, values: [call(emitter, name, *_as_outputs(emitter, node, values))]


def number(value: float) -> ir.Constant:
    """A float64 as a constant."""
    return ir.Constant(ir.DoubleType(), value)


def _inverse_width(emitter: Emitter, c: ir.Value, s: ir.Value) -> ir.Value:
    root = call_intrinsic(emitter, "sqrt", _squared_width(emitter, c, s))
    return emitter.builder.fdiv(ir.Constant(c.type, 1.0), root)


def _log_width(emitter: Emitter, c: ir.Value, s: ir.Value) -> ir.Value:
    logarithm = call_intrinsic(emitter, "log", _squared_width(emitter, c, s))
    return emitter.builder.fmul(ir.Constant(c.type, 0.5), logarithm)


def _squared_width(emitter: Emitter, c: ir.Value, s: ir.Value) -> ir.Value:
    builder = emitter.builder
    # The absolute value keeps LLVM from adding 1 to a small square before it takes c away.
    rest = call_intrinsic(emitter, "fabs", builder.fsub(ir.Constant(c.type, 1.0), c))
    return builder.fadd(rest, builder.fmul(c, builder.fmul(s, s)))


def _sign(emitter: Emitter, x: ir.Value) -> ir.Value:
    builder = emitter.builder
    zero, one, less = (ir.Constant(x.type, value) for value in (0.0, 1.0, -1.0))
    rest = builder.select(builder.fcmp_ordered("==", x, zero), zero, x)  # NaN has no sign
    rest = builder.select(builder.fcmp_ordered("<", x, zero), less, rest)
    return builder.select(builder.fcmp_ordered(">", x, zero), one, rest)


def _remainder(emitter: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    """What is left of a, with the sign of b, as in Python."""
    builder, zero = emitter.builder, ir.Constant(a.type, 0.0)
    rest = builder.frem(a, b)
    is_none = builder.fcmp_ordered("==", rest, zero)
    moved = builder.select(_differ_in_sign(emitter, rest, b), builder.fadd(rest, b), rest)
    return builder.select(is_none, call_library(emitter, "copysign", zero, b), moved)


def _whole_quotient(emitter: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    """The largest whole number that is no larger than a / b; from the remainder, as a / b may round up."""
    builder, zero = emitter.builder, ir.Constant(a.type, 0.0)
    quotient = builder.fdiv(builder.fsub(a, _remainder(emitter, a, b)), b)
    by_zero = builder.fcmp_ordered("==", b, zero)
    return builder.select(by_zero, builder.fdiv(a, b), call_intrinsic(emitter, "rint", quotient))


def _differ_in_sign(emitter: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    below = [emitter.builder.fcmp_ordered("<", value, ir.Constant(value.type, 0.0)) for value in (a, b)]
    return emitter.builder.xor(*below)


def _float_rule(write: Callable[..., ir.Value]) -> Rule:
    return lambda emitter, node, values: [write(emitter, *_as_outputs(emitter, node, values))]


squared_width = _float_rule(_squared_width)  # of a node whose logarithm is taken elsewhere

_FLOAT_RULES = {kind: _unary(call_intrinsic, name) for kind, name in _INTRINSICS.items()}
_FLOAT_RULES |= {kind: _unary(call_library, name) for kind, name in _LIBRARY.items()}
_FLOAT_RULES |= {
    scalar_ops.TrueDiv: _float_rule(lambda emitter, a, b: emitter.builder.fdiv(a, b)),
    scalar_ops.Neg: _float_rule(lambda emitter, a: emitter.builder.fneg(a)),
    scalar_ops.Sqr: _float_rule(lambda emitter, a: emitter.builder.fmul(a, a)),
    scalar_ops.Reciprocal: _float_rule(lambda emitter, a: emitter.builder.fdiv(ir.Constant(a.type, 1.0), a)),
    scalar_ops.Pow: _float_rule(lambda emitter, a, b: call_intrinsic(emitter, "pow", a, b)),
    scalar_ops.Sign: _float_rule(_sign),
    scalar_ops.Mod: _float_rule(_remainder),
    scalar_ops.IntDiv: _float_rule(_whole_quotient),
    InverseWidth: _float_rule(_inverse_width),
    LogWidth: _float_rule(_log_width),
    scalar_ops.ArcTan2: _float_rule(lambda emitter, a, b: call_library(emitter, "atan2", a, b)),
}


def _power_of_integers(emitter: Emitter, node: Apply, values: Sequence[ir.Value]) -> list[ir.Value]:
    """By the bits of the exponent; of a base that is known, such as -1, little of it is left."""
    builder = emitter.builder
    square, exponent = _as_outputs(emitter, node, values)
    one = ir.Constant(square.type, 1)
    total = one
    for bit in range(square.type.width):
        is_set = builder.trunc(builder.lshr(exponent, ir.Constant(exponent.type, bit)), ir.IntType(1))
        total = builder.mul(total, builder.select(is_set, square, one))
        square = builder.mul(square, square)
    return [total]


def rule_of(node: Apply) -> Rule | None:
    """How to write a node whose results are exact that way; None where Numba has to."""
    kind = type(node.op)
    out = np.dtype(node.outputs[0].type.dtype)
    dtypes = {np.dtype(v.type.dtype) for v in node.inputs} | {out}
    if any(dtype.kind not in "bif" or dtype == np.float16 for dtype in dtypes):
        return None
    if kind in _COMPARISONS:
        return _compare
    if kind in _GENERAL:
        return _GENERAL[kind]
    if kind in _ARITHMETIC and out.kind in "if":
        return _arithmetic
    if kind in _LOGICAL and out.kind in "bi":
        return _logical
    if kind is scalar_ops.Neg and out.kind == "i":
        return _negated
    if kind is scalar_ops.Pow and out.kind == "i":
        return _power_of_integers
    return _FLOAT_RULES.get(kind) if out.kind == "f" else None
