"""The scaled complementary error function as straight-line code, for loops that vectorise."""

import math

import numpy as np

from nutmill.model.rewriting.branchfree import polynomial, scalar_kernel, select

_OVERFLOWS = 27.0  # exp(x^2) is infinite from here on
_MIDDLE = 3.75  # the x at which t below is 0: of those tried, the series is shortest with it

# (1 + 2 x) exp(x^2) erfc(x), x >= 0, in t = (x - 3.75) / (x + 3.75): interpolated at Chebyshev points, in 60 digits.
_scaled_tail = polynomial(
    1.2375126308378275,
    -0.14024059858554697,
    0.003585415485463775,
    0.08227673849014516,
    -0.10880393014171785,
    0.09230432116037876,
    -0.058693398590212366,
    0.028362277418940665,
    -0.009746579552504244,
    0.0017556258530017257,
    0.0002937136342850081,
    -0.0002901540809795271,
    5.1649211390702855e-05,
    2.2384240314224437e-05,
    -1.1444412439171722e-05,
    -9.735619015182663e-07,
    1.752057970166318e-06,
    -5.721597255990987e-08,
    -2.591069687796658e-07,
    2.3261913276696566e-08,
    3.8965452548985966e-08,
    -3.743568033634583e-09,
    -5.28428697963142e-09,
    3.110310719839165e-10,
    4.434959070009628e-10,
)


@scalar_kernel
def erfcx(x):
    """exp(x^2) erfc(x); of negative x by erfc(x) = 2 - erfc(-x) (Abramowitz and Stegun, 7.1.2)."""
    distance = abs(x)
    # In this form t is 1 at infinity.
    tail = _scaled_tail(1.0 - 2.0 * _MIDDLE / (distance + _MIDDLE)) / (1.0 + 2.0 * distance)
    bounded = select(distance < _OVERFLOWS, distance, _OVERFLOWS)
    return select(x < 0.0, 2.0 * _exp_of_square(bounded) - tail, tail)


@scalar_kernel
def _exp_of_square(x):
    """exp(x^2) with the digits that x^2 loses when it is rounded: the square of the upper half of x is exact."""
    upper = np.float64(np.float32(x))
    lower = (x - upper) * (x + upper)
    return math.exp(upper * upper) * (1.0 + lower * (1.0 + lower * (0.5 + lower * (1.0 / 6.0))))
