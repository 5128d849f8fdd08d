"""Stable forms far out: values and gradients, as compiled, against mpmath; and models that need them."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import mpmath as mp
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from model.inlining import INTERPRETED, density_function
from pymc.distributions.dist_math import log_diff_normal_cdf, normal_lcdf
from pytensor.compile.mode import optdb
from pytensor.tensor import special

from nutmill.errors import ModelError
from nutmill.model.compat import STEPS_HAVE_MODES
from nutmill.model.rewriting import rewrite as rewriting
from nutmill.model.rewriting.stable import simplify

POSITIVE = np.array([1e-20, 1e-9, 1e-3, 0.3, 1.0, 3.7, 10.0, 26.7, 37.0, 100.0, 710.0, 800.0, 1e3, 1e5, 1e10, 1e150])
NEGATIVE = -POSITIVE
REAL = np.concatenate([NEGATIVE, POSITIVE])
MODERATE = REAL[np.abs(REAL) <= 1e5]
SHARES = np.array([1e-300, 1e-20, 1e-9, 1e-3, 0.3, 0.7, 1.0 - 1e-3])
# Of single precision, as PyMC writes them.
ROOT_2, LOG_2 = (mp.mpf(float(np.float32(number))) for number in (np.sqrt(2.0), np.log(2.0)))


class Form(NamedTuple):
    """An expression of one number, element by element; what it is; and where to compare."""

    write: Callable
    exact: Callable
    points: np.ndarray = REAL
    limit: str = ""  # why it is known to fail


def softplus(x):
    return mp.log1p(mp.exp(x))


def log1mexp(x):
    return mp.log(-mp.expm1(x))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def rows(x):
    return pt.stack([x, pt.zeros_like(x) + 1.5, -x, x / 2], axis=-1)


def log_sum(x):
    return mp.log(sum(mp.exp(power) for power in (x, mp.mpf(1.5), -x, x / 2)))


def log_erfc(x):
    if x < 1e4:
        return mp.log(mp.erfc(x))
    return -x * x - mp.log(x * mp.sqrt(mp.pi)) + mp.log1p(-1 / (2 * x * x) + 3 / (4 * x**4))


def log_normal_cdf(z):
    if z < -1.0000001:  # there, slopes of both sides are what PyMC computes
        return log_erfc(-z / ROOT_2) + (z / ROOT_2) ** 2 - mp.log(2) - z * z / 2
    return mp.log1p(-mp.erfc(z / ROOT_2) / 2)


def log_of_interval(x):
    low, high = x / ROOT_2, (x + 1) / ROOT_2
    if low > 0:
        return log_erfc(low) + log1mexp(log_erfc(high) - log_erfc(low)) - LOG_2
    if high < 0:
        return log_erfc(-high) + log1mexp(log_erfc(-low) - log_erfc(-high)) - LOG_2
    return mp.log(mp.erf(high) - mp.erf(low)) - LOG_2


def log_bessel(x):
    """Logarithm of K of order 3/2, times exp(x)."""
    return mp.log(mp.sqrt(mp.pi / (2 * x))) + mp.log1p(1 / x)


def log_bessel_i(x):
    """Logarithm of I of order 1/2."""
    return mp.log(mp.sqrt(2 / (mp.pi * x))) + mp.log(mp.sinh(x))


def x_log_y(x, y):
    return special.xlogy(x, y) if hasattr(special, "xlogy") else pt.switch(pt.eq(x, 0), 0.0, x * pt.log(y))


BY_HAND = "written by hand in a way that PyTensor has no stable form of: it overflows"
FORMS = {
    "softplus": Form(pt.softplus, softplus),
    "log(1 + exp)": Form(lambda x: pt.log(1 + pt.exp(x)), softplus),
    "log1p(exp)": Form(lambda x: pt.log1p(pt.exp(x)), softplus),
    "log1mexp": Form(pm.math.log1mexp, log1mexp, NEGATIVE[NEGATIVE != -710.0]),
    "log(1 - exp)": Form(lambda x: pt.log(1 - pt.exp(x)), log1mexp, NEGATIVE[NEGATIVE != -710.0]),
    "log1p(-exp)": Form(lambda x: pt.log1p(-pt.exp(x)), log1mexp, NEGATIVE[NEGATIVE != -710.0]),
    "log(-expm1)": Form(lambda x: pt.log(-pt.expm1(x)), log1mexp, NEGATIVE[NEGATIVE != -710.0]),
    "log(sigmoid)": Form(lambda x: pt.log(pt.sigmoid(x)), lambda x: -softplus(-x)),
    "log(1 - sigmoid)": Form(lambda x: pt.log(1 - pt.sigmoid(x)), lambda x: -softplus(x)),
    "log1p(-sigmoid)": Form(lambda x: pt.log1p(-pt.sigmoid(x)), lambda x: -softplus(x)),
    "log(1 / (1 + exp))": Form(lambda x: pt.log(1 / (1 + pt.exp(-x))), lambda x: -softplus(-x)),
    "logit(sigmoid)": Form(lambda x: pm.math.logit(pt.sigmoid(x)), lambda x: x),
    "sigmoid(logit)": Form(lambda x: pt.sigmoid(pm.math.logit(x)), lambda x: x, SHARES),
    "sigmoid": Form(pt.sigmoid, sigmoid),
    "exp / (1 + exp)": Form(lambda x: pt.exp(x) / (1 + pt.exp(x)), sigmoid),
    "1 / (1 + exp)": Form(lambda x: 1 / (1 + pt.exp(-x)), sigmoid),
    "reciprocal": Form(lambda x: pt.reciprocal(1 + pt.exp(-x)), sigmoid, limit=BY_HAND),
    "tanh": Form(pt.tanh, mp.tanh),
    "log of 1 - tanh^2": Form(lambda x: pt.log1p(-(pt.tanh(x) ** 2)), lambda x: -2 * mp.log(mp.cosh(x)), limit=BY_HAND),
    "expm1": Form(pt.expm1, mp.expm1, REAL[REAL < 700]),
    "exp - 1": Form(lambda x: pt.exp(x) - 1, mp.expm1, REAL[REAL < 700]),
    "log1p": Form(pt.log1p, mp.log1p, np.concatenate([-SHARES, POSITIVE])),
    "log(1 + x)": Form(lambda x: pt.log(1 + x), mp.log1p, np.concatenate([-SHARES, POSITIVE])),
    "log(1 - x)": Form(lambda x: pt.log(1 - x), lambda x: mp.log1p(-x), np.concatenate([SHARES, NEGATIVE])),
    "logaddexp": Form(lambda x: pt.logaddexp(x, x / 2), lambda x: x / 2 + softplus(x / 2)),
    "log(exp + exp)": Form(lambda x: pt.log(pt.exp(x) + pt.exp(-x)), lambda x: abs(x) + softplus(-2 * abs(x))),
    "logsumexp": Form(lambda x: pt.logsumexp(rows(x), axis=-1), log_sum),
    "logsumexp, axis kept": Form(lambda x: pt.logsumexp(rows(x), axis=-1, keepdims=True)[:, 0], log_sum),
    "logsumexp, first axis": Form(lambda x: pt.logsumexp(rows(x).T, axis=0), log_sum),
    "log(sum(exp))": Form(lambda x: pt.log(pt.exp(rows(x)).sum(axis=-1)), log_sum),
    "log_softmax": Form(lambda x: special.log_softmax(rows(x), axis=-1)[:, 0], lambda x: x - log_sum(x)),
    "log(softmax)": Form(lambda x: pt.log(special.softmax(rows(x), axis=-1))[:, 1], lambda x: 1.5 - log_sum(x)),
    "log(softmax[i])": Form(lambda x: pt.log(special.softmax(rows(x), axis=-1)[:, 1]), lambda x: 1.5 - log_sum(x)),
    "softmax": Form(lambda x: special.softmax(rows(x), axis=-1)[:, 0], lambda x: mp.exp(x - log_sum(x))),
    "softmax by hand": Form(
        lambda x: (pt.exp(rows(x)) / pt.exp(rows(x)).sum(axis=-1, keepdims=True))[:, 0],
        lambda x: mp.exp(x - log_sum(x)),
        limit=BY_HAND,
    ),
    "x - logsumexp": Form(
        lambda x: (rows(x) - pt.logsumexp(rows(x), axis=-1, keepdims=True))[:, 1], lambda x: 1.5 - log_sum(x)
    ),
    "logdiffexp": Form(lambda x: pm.math.logdiffexp(x, 2 * x), lambda x: x + log1mexp(x), NEGATIVE),
    "log(exp - exp)": Form(lambda x: pt.log(pt.exp(x) - pt.exp(2 * x)), lambda x: x + log1mexp(x), NEGATIVE),
    "log(erfc)": Form(lambda x: pt.log(pt.erfc(x)), log_erfc, MODERATE),
    "log(1 - erf)": Form(lambda x: pt.log(1 - pt.erf(x)), log_erfc, MODERATE),
    "log(1 + erf)": Form(lambda x: pt.log(1 + pt.erf(x)), lambda x: log_erfc(-x), MODERATE),
    "log(erfc / 2)": Form(
        lambda x: pt.log(0.5 * pt.erfc(x)), lambda x: log_erfc(x) - mp.log(2), MODERATE, limit=BY_HAND
    ),
    "log(erfcx)": Form(
        lambda x: pt.log(pt.erfcx(x)), lambda x: log_erfc(x) + x * x, REAL[(REAL > -26) & (REAL <= 100)]
    ),
    "normal_lcdf": Form(lambda x: normal_lcdf(0.0, 1.0, x), log_normal_cdf, MODERATE),
    "log_diff_normal_cdf": Form(lambda x: log_diff_normal_cdf(0.0, 1.0, x + 1, x), log_of_interval, MODERATE),
    "xlogy": Form(lambda x: x_log_y(x, x), lambda x: x * mp.log(x), POSITIVE),
    "gammaln": Form(pt.gammaln, mp.loggamma, POSITIVE),
    "gammaln - gammaln": Form(lambda x: pt.gammaln(x + 1) - pt.gammaln(x), mp.log, POSITIVE[POSITIVE <= 10]),
    "log(gamma)": Form(lambda x: pt.log(pt.gamma(x)), mp.loggamma, POSITIVE, limit=BY_HAND),
    "sqrt(x^2)": Form(lambda x: pt.sqrt(x**2), abs),
    "sqrt(x)^2": Form(lambda x: pt.sqrt(x) ** 2, lambda x: x, POSITIVE),
    "log(x^2)": Form(lambda x: pt.log(x**2), lambda x: 2 * mp.log(abs(x))),
    "log(kve)": Form(lambda x: pt.log(pt.kve(1.5, x)), log_bessel, POSITIVE[(POSITIVE > 1e-9) & (POSITIVE < 1e6)]),
    "log(kv)": Form(
        lambda x: pt.log(pt.kv(1.5, x)), lambda x: log_bessel(x) - x, POSITIVE[(POSITIVE > 1e-9) & (POSITIVE < 1e6)]
    ),
    "log(iv)": Form(
        lambda x: pt.log(pt.iv(0.5, x)),
        log_bessel_i,
        POSITIVE[(POSITIVE > 1e-9) & (POSITIVE < 1e6)],
        limit="PyTensor 2 has no stable form of it: it overflows at 713" if STEPS_HAVE_MODES else "",
    ),
    "guarded log": Form(lambda x: pt.switch(x > 0, pt.log(x), 0.0), lambda x: mp.log(x) if x > 0 else mp.mpf(0)),
    "guarded root": Form(lambda x: pt.switch(x > 0, pt.sqrt(x), 0.0), lambda x: mp.sqrt(x) if x > 0 else mp.mpf(0)),
    "guarded exp": Form(lambda x: pt.switch(x > 0, x, pt.exp(x)), lambda x: x if x > 0 else mp.exp(x)),
    "clip(exp)": Form(lambda x: pt.clip(pt.exp(x), 0.0, 3.0), lambda x: min(mp.exp(x), mp.mpf(3))),
    "log(clip(sigmoid))": Form(
        lambda x: pt.log(pt.clip(pt.sigmoid(x), 1e-10, 1.0)), lambda x: mp.log(max(sigmoid(x), mp.mpf(1e-10)))
    ),
    "minimum of exp": Form(
        lambda x: pt.minimum(pt.exp(x), 3.0),
        lambda x: min(mp.exp(x), mp.mpf(3)),
        limit="PyTensor's gradient of a minimum is a mask times what overflows",
    ),
}


@cache
def computed(names):
    """For each form the values at its points and the gradients there, of one density."""
    forms = [FORMS[name] for name in names]
    x, weights = ([pt.vector(shape=(len(form.points),)) for form in forms] for _ in range(2))
    logp = sum((weight * form.write(one)).sum() for one, weight, form in zip(x, weights, forms, strict=True))
    points = [form.points for form in forms]
    _, *gradients = density_function(logp, [*x, *weights])(*points, *map(np.ones_like, points))
    found = zip(gradients[len(forms) :], gradients[: len(forms)], strict=True)
    return dict(zip(names, found, strict=True))


def exactly(form):
    """Values and derivatives at the points of a form, as floating-point numbers."""
    values, slopes = [], []
    for point in map(float, form.points):
        with mp.workdps(400):
            step = mp.mpf(abs(point)) * mp.mpf(10) ** -60
            low, middle, high = (form.exact(mp.mpf(point) + k * step) for k in (-1, 0, 1))
            values.append(float(middle))
            slopes.append(float((high - low) / (2 * step)))
    return np.array(values), np.array(slopes)


def assert_exact(found, form):
    for some, expected in zip(found, exactly(form), strict=True):
        np.testing.assert_allclose(some, expected, rtol=1e-11, atol=4e-15)


MENDED = ("logsumexp", "logsumexp, axis kept", "logsumexp, first axis", "clip(exp)", "sqrt(x^2)", "sqrt(x)^2")


@pytest.mark.parametrize("name", MENDED)
def test_forms_that_pytensor_has_no_right_gradient_of(name):
    assert_exact(computed(MENDED)[name], FORMS[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.xfail(reason=form.limit, strict=True)] if form.limit else [])
        for name, form in FORMS.items()
    ],
)
def test_values_and_gradients_far_out(name):
    assert_exact(computed(tuple(FORMS))[name], FORMS[name])


def test_infinite_powers_keep_their_sums():
    x = pt.matrix("x", shape=(3, 2))
    infinite = np.array([[np.inf, 0.0], [-np.inf, -np.inf], [-np.inf, 3.0]])
    value = pytensor.function([x], simplify(pt.logsumexp(x, axis=1)), mode=INTERPRETED)(infinite)
    np.testing.assert_array_equal(value, [np.inf, -np.inf, 3.0])


def test_mixture_over_a_group_of_precise_observations():
    """Log densities of groups are sums of many, and large where observations are precise."""
    y = np.random.default_rng(1).normal(0.3, 0.005, 600)
    mean, share = pt.vector("mean", shape=(2,)), pt.scalar("share")
    groups = pt.stack([pm.logp(pm.Normal.dist(mean[k], 0.005), y).sum() for k in range(2)])
    logp = pt.logsumexp(groups + pt.log(pt.stack([share, 1 - share])))
    value, of_mean, of_share = density_function(logp, [mean, share])(np.array([0.2998, 0.31]), np.array(0.25))
    # The second mean is impossible beside the first.
    deviations = (y - 0.2998) / 0.005
    expected = np.log(0.25) - 0.5 * (deviations**2).sum() - 600 * np.log(0.005 * np.sqrt(2 * np.pi))
    assert value == pytest.approx(expected, rel=1e-12) and value > 2000.0
    np.testing.assert_allclose(of_mean, [deviations.sum() / 0.005, 0.0], rtol=1e-9)
    assert of_share == pytest.approx(4.0, rel=1e-12)


def test_hidden_states_with_precise_observations():
    """In a loop, too, gradients are taken of the stable form."""
    emission = pt.matrix("emission", shape=(5, 2))
    moves = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    forward = pytensor.scan(
        lambda now, before: pt.logsumexp(before[:, None] + moves, axis=0) + now,
        sequences=[emission],
        outputs_info=[pt.zeros(2)],
        return_updates=False,
    )
    point = np.array([[1.0, 2.0], [0.0, 1.0], [300.0, 310.0], [400.0, 390.0], [500.0, 499.0]])
    value, gradient = density_function(pt.logsumexp(forward[-1]), [emission])(point)

    def exact(at):
        state = np.zeros(2)
        for now in at:
            state = np.logaddexp(state[0] + moves[0], state[1] + moves[1]) + now
        return np.logaddexp(*state)

    assert value == pytest.approx(exact(point), rel=1e-14)
    # A step adds what is common to both of its states: its gradient sums to one.
    np.testing.assert_allclose(gradient.sum(axis=1), 1.0, rtol=1e-13)
    differences = [exact(point + 1e-3 * e) - exact(point - 1e-3 * e) for e in np.eye(10).reshape(-1, 5, 2)]
    np.testing.assert_allclose(gradient.ravel(), np.array(differences) / 2e-3, atol=1e-6)


def test_names_of_rewrites_are_pytensors():
    """PyTensor takes any name without a word; some rewrites are excluded because they give wrong numbers."""
    assert rewriting._DENSITY_ZERO in set(rewriting._names_of_rewrites(optdb))
    rewriting._mode(ours=True)
    with pytest.raises(ModelError, match="local_that_was_renamed"):
        rewriting._check_names(("local_that_was_renamed",))
