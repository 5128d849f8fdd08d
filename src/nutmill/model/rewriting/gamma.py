"""Logarithm of the gamma function and its derivatives as straight-line code, for loops that vectorise.

Below 8 the argument is shifted: for log-gamma down to [1, 2], where a factor (y - 1)(y - 2) keeps the zeros
exact; for the derivatives up to 8. From 8 on, Stirling's series does. Negative arguments are reflected (Abramowitz
and Stegun, Handbook of Mathematical Functions, 6.1.17, 6.1.41, 6.3.7, 6.3.18, 6.4.7, 6.4.12).

Derivatives of third order and up are sums of powers (6.4.10), the far ones by Euler and Maclaurin's formula (23.1.30).
"""

import math

import numpy as np

from nutmill.model.rewriting.branchfree import polynomial, scalar_kernel, select

_LARGE = 8
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)

# log-gamma(y) / ((y - 1)(y - 2)) on [1, 2] in t = 2 y - 3: interpolated at Chebyshev points, in 60 digits.
_near_zeros = polynomial(
    0.4831289505409809,
    -0.07297994795715304,
    0.01572785026864124,
    -0.003913560937626182,
    0.0010498186644489656,
    -0.0002945507015196472,
    8.510090382507709e-05,
    -2.5094328668947195e-05,
    7.511391134979752e-06,
    -2.2742474102383936e-06,
    6.948461695085761e-07,
    -2.1386323384115519e-07,
    6.622899723826762e-08,
    -2.0621027431854287e-08,
    6.448537660005262e-09,
    -2.016947955623982e-09,
    6.34708063084356e-10,
    -2.0874620693971093e-10,
    6.659994986020335e-11,
    -1.5395748006420787e-11,
    4.705387815328221e-12,
    -3.803618166622364e-12,
    1.2510413599689193e-12,
)

# Stirling's series in 1 / z^2, from Bernoulli numbers: of log-gamma after 1 / z, of digamma after 1 / z^2,
# of trigamma after 1 / z^3.
_log_gamma_series = polynomial(
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188
)
_digamma_series = polynomial(
    1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160, 43867 / 14364
)
_trigamma_series = polynomial(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)

# B_2k / (2k)! of Euler and Maclaurin's formula.
_SUM_BY_INTEGRAL = tuple(
    bernoulli / math.factorial(2 * k)
    for k, bernoulli in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510), 1)
)
_NEAR = 10  # so many powers are added one by one
_LARGEST_FACTORIAL = 170  # in float64

# sin(pi t) / t in t^2, for t within 1/2.
_sine_series = polynomial(*((-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(11)))


@scalar_kernel
def log_gamma(x):
    """Logarithm of the absolute value of the gamma function; infinite at 0 and at negative integers."""
    is_negative = x < 0.0
    positive = _log_gamma_of_positive(select(is_negative, 1.0 - x, x))
    reflected = -math.log(abs(_sine(_from_nearest_integer(x))) / math.pi) - positive
    return select(is_negative, select(x == -math.inf, math.inf, reflected), positive)


@scalar_kernel
def _from_nearest_integer(x):
    return x - np.floor(x + 0.5)


@scalar_kernel
def _sine(half_turns):
    """sin(pi t) for t within 1/2."""
    return half_turns * _sine_series(half_turns * half_turns)


@scalar_kernel
def _log_gamma_of_positive(z):
    shift, product = 0.0, 1.0
    for i in range(1, _LARGE - 1):
        above = z >= i + 1.0
        shift += select(above, 1.0, 0.0)
        product *= select(above, z - i, 1.0)
    below_one = z < 1.0
    from_one = select(below_one, z, z - shift - 1.0)
    logarithm = math.log(select(z >= _LARGE, z, select(below_one, z, product)))
    small = from_one * (from_one - 1.0) * _near_zeros(2.0 * from_one - 1.0)
    small += select(below_one, -logarithm, logarithm)
    reciprocal = 1.0 / z
    # In this order infinity stays infinity.
    large = (z - 0.5) * (logarithm - 1.0) + (_HALF_LOG_2PI - 0.5)
    large += reciprocal * _log_gamma_series(reciprocal * reciprocal)
    return select(z >= _LARGE, large, small)


@scalar_kernel
def digamma(x):
    """Derivative of log-gamma; -infinity at 0, NaN at negative integers."""
    is_negative = x < 0.0
    positive = _digamma_of_positive(select(is_negative, 1.0 - x, x))
    turn = _from_nearest_integer(x)
    reflected = positive - math.pi * _sine(0.5 - abs(turn)) / _sine(turn)
    return select(is_negative, select(turn == 0.0, math.nan, reflected), positive)


@scalar_kernel
def _digamma_of_positive(z):
    # The sum of 1 / (z + i) as one fraction, so that there is one division.
    numerator, denominator = 1.0, z
    for i in range(1, _LARGE):
        numerator = numerator * (z + i) + denominator
        denominator *= z + i
    is_small = z < _LARGE
    shifted = select(is_small, z + _LARGE, z)
    reciprocal = 1.0 / shifted
    square = reciprocal * reciprocal
    large = math.log(shifted) - 0.5 * reciprocal - square * _digamma_series(square)
    return large - select(is_small, numerator / denominator, 0.0)


@scalar_kernel
def trigamma(x):
    """Second derivative of log-gamma; infinite at 0 and at negative integers."""
    is_negative = x < 0.0
    positive = _trigamma_of_positive(select(is_negative, 1.0 - x, x))
    slope = math.pi / _sine(_from_nearest_integer(x))
    return select(is_negative, slope * slope - positive, positive)


@scalar_kernel
def _trigamma_of_positive(z):
    below = 0.0
    for i in range(_LARGE):
        reciprocal = 1.0 / (z + i)
        below += reciprocal * reciprocal
    is_small = z < _LARGE
    reciprocal = 1.0 / select(is_small, z + _LARGE, z)
    square = reciprocal * reciprocal
    large = reciprocal + 0.5 * square + reciprocal * square * _trigamma_series(square)
    return large + select(is_small, below, 0.0)


@scalar_kernel
def polygamma(order, x):
    """Derivative of `order`, an integer, of digamma; infinite at 0 and at negative integers, NaN for orders below 0."""
    power = order + 1.0
    sign = select(order % 2 == 0, -1.0, 1.0)
    is_negative = x < 0.0
    # The sum over all of ... x - 1, x, x + 1, ... has period 1, and is a sum upwards and one downwards.
    from_floor = x - np.floor(x)
    positive = _sum_of_powers(power, select(is_negative, from_floor, x))
    below = _sum_of_powers(power, 1.0 - from_floor) - _sum_of_powers(power, 1.0 - x)
    total = positive + select(is_negative, sign * below, 0.0)
    for i in range(min(order, _LARGEST_FACTORIAL)):
        total *= i + 1.0
    return select(order > 0, sign * total, select(order == 0, digamma(x), math.nan))


@scalar_kernel
def _sum_of_powers(power, z):
    """Sum of ``(z + i) ** -power`` over i = 0, 1, ...; `power` is above 1, and z not negative."""
    near = 0.0
    for i in range(_NEAR):
        near += (z + i) ** -power
    first = z + _NEAR
    reciprocal = 1.0 / first
    integral = first ** (1.0 - power)  # in this order zero, not NaN, at infinity
    term = integral * reciprocal
    far = integral / (power - 1.0) + 0.5 * term
    term *= reciprocal * power
    for k, factor in enumerate(_SUM_BY_INTEGRAL):
        far += factor * term
        term *= reciprocal * reciprocal * (power + 2 * k + 1.0) * (power + 2 * k + 2.0)
    return near + far
