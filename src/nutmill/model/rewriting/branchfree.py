"""Scalar functions without jumps, so that a loop with them can be vectorised."""

import math

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Copied into the loop that calls them: a call that stays one is the end of vectorising. Rounding is as
# written, but for fused multiply-add; sums over elements get their freedom where the sum is.
scalar_kernel = njit(
    nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, forceinline=True, no_cfunc_wrapper=True
)


@intrinsic
def select(typing_context, condition, yes, no):
    """`yes` or `no`, both of them computed; an `if` would let LLVM compute only one, behind a jump."""

    def codegen(context, builder, signature, values):
        return builder.select(*values)

    kind = types.float32 if yes == no == types.float32 else types.float64
    return kind(types.boolean, kind, kind), codegen


@intrinsic
def constant(typing_context, value, operand):
    """A number in the precision of an operand: in Python's, the loop would go on in double precision."""

    def codegen(context, builder, signature, values):
        return context.cast(builder, values[0], signature.args[0], signature.return_type)

    return operand(types.float64, operand), codegen


def polynomial(*coefficients: float):
    """Make the function that evaluates a polynomial, lowest coefficient first, by pairs (Estrin's scheme).

    Horner's scheme is one chain in which each step waits for the one before.
    """

    @intrinsic
    def evaluate(typing_context, x):
        def codegen(context, builder, signature, values):
            terms = [ir.Constant(ir.DoubleType(), value) for value in coefficients]
            power = values[0]
            while len(terms) > 1:
                terms = [_pair(builder, power, *terms[i : i + 2]) for i in range(0, len(terms), 2)]
                power = builder.fmul(power, power)
            return terms[0]

        return types.float64(types.float64), codegen

    return evaluate


def _pair(builder, power, low, high=None):
    if high is None:
        return low
    return builder.fadd(low, builder.fmul(high, power, flags=("contract",)), flags=("contract",))


@scalar_kernel
def sigmoid(x):
    """1 / (1 + exp(-x)), by way of the exponential that `softplus` takes too, so that a loop with both takes one."""
    power, one = math.exp(-abs(x)), constant(1.0, x)
    return select(x < constant(0.0, x), power, one) / (one + power)


@scalar_kernel
def softplus(x):
    """log(1 + exp(x)), with nothing that overflows or cancels."""
    zero = constant(0.0, x)
    return select(x > zero, x, zero) + math.log1p(math.exp(-abs(x)))


_LOG_HALF = math.log(0.5)


@scalar_kernel
def log1mexp(x):
    """log(1 - exp(x)) for x <= 0; of the two forms, each is exact where the other one cancels."""
    return select(x < _LOG_HALF, math.log1p(-math.exp(x)), math.log(-math.expm1(x)))


@scalar_kernel
def inverse_width(c, s):
    """1 / sqrt(1 - c + c s^2); the absolute value keeps LLVM from adding 1 to a small square before it takes c away."""
    return 1.0 / math.sqrt(abs(1.0 - c) + c * s * s)


@scalar_kernel
def log_width(c, s):
    """Half of log(1 - c + c s^2)."""
    return 0.5 * math.log(abs(1.0 - c) + c * s * s)
