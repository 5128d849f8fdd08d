"""Densities with known answers, in one function that the finished kernel calls as it calls that of a model."""

import functools
import math
from enum import IntEnum
from typing import NamedTuple

import numba
import numpy as np

from nutmill.errors import sentence
from nutmill.model.lowering.kernel import kernel_object
from nutmill.native import processor
from nutmill.native.record import DENSITY_WORD, FIRST_WORD


class Target(IntEnum):
    """The densities; the number goes where a model has its data."""

    NORMAL = 0  # N(0, I)
    SCALED = 1  # independent normals, sd 10^-3 ... 10^3
    AUTOREGRESSIVE = 2  # stationary Gaussian AR(1), correlation 0.9, sd 1
    STUDENT = 3  # independent Student-t, 5 degrees of freedom
    FUNNEL = 4  # x0 ~ N(0, 1.5), the others N(0, exp(x0))
    HALF_NORMAL = 5  # |N(0, 1)| in the first coordinate, -inf below 0; N(0, 1) in the others
    TWO_MODES = 6  # equal mixture of N(-20, I) and N(20, I)
    NOWHERE = 7  # -inf everywhere
    NAN_GRADIENT = 8  # N(0, I), but the gradient is NaN where x0 > 2
    STOPS = 9  # N(0, I), but x0 > 2 stops the chain
    FAILS = 10  # N(0, I), but an operation fails where x0 > 2
    FLAT = 11  # -x^4: no gradient at 0
    CLIFF = 12  # uniform on a box of width 10^-12: no step size will do
    NECK = 13  # a centred hierarchy: x0 = log s with s ~ |N(0, 1)|, x_i ~ N(0, s), seen with errors N(0, 1)
    LESSER_MODE = 15  # N(20, I), and e^-30 times N(-20, I)
    NARROW_MODE = 16  # equal masses: N(20, I / 100) and N(-20, I)
    STAIRS = 17  # N(0, I), and e^-400 for each whole unit between x0 and 0
    LEAST_MODE = 18  # N(20, I), and e^-200 times N(-20, I)
    RIDGE = 14  # N(0, I), but x0 + x1 is 10^4 times as wide, and x0 - x1 10^5 times as narrow


@numba.njit(error_model="numpy")
def density(position, gradient, data):
    """Status and log density up to a constant; the gradient is written."""
    x0 = position[0]
    if data == Target.NOWHERE or (data == Target.HALF_NORMAL and x0 < 0.0):
        return 0, -math.inf
    if data == Target.STOPS and x0 > 2.0:
        return -1, 0.0
    if data == Target.FAILS and x0 > 2.0:
        return 2, 0.0
    lp = 0.0
    for i in range(position.shape[0]):
        if data == Target.AUTOREGRESSIVE or data == Target.FUNNEL or data == Target.NECK:
            lp += dependent_term(position, gradient, data, i)
        else:
            term, gradient[i] = independent_term(position, data, i)
            lp += term
    if data == Target.NAN_GRADIENT and x0 > 2.0:
        gradient[0] = math.nan
    return 0, lp


@numba.njit(error_model="numpy")
def independent_term(position, data, i):
    """Return the term of coordinate `i` and its derivative."""
    x = position[i]
    if data == Target.SCALED:
        precision = 1.0 / scale(i, position.shape[0]) ** 2
        return -0.5 * precision * x * x, -precision * x
    if data == Target.RIDGE and i < 2:
        along, across = x + position[1 - i], x - position[1 - i]
        return -0.125 * (1e-8 * along**2 + 1e10 * across**2), -0.5 * (1e-8 * along + 1e10 * across)
    if data == Target.STUDENT:
        return -3.0 * math.log1p(x * x / 5.0), -6.0 * x / (5.0 + x * x)
    if data == Target.TWO_MODES:
        centre = 20.0 if position[0] > 0.0 else -20.0
        return -0.5 * (x - centre) ** 2, centre - x
    if data == Target.LESSER_MODE or data == Target.LEAST_MODE:
        is_lesser = position[0] < 0.0
        from_centre = x + 20.0 if is_lesser else x - 20.0
        below = 30.0 if data == Target.LESSER_MODE else 200.0
        return -0.5 * from_centre**2 - (below if is_lesser and i == 0 else 0.0), -from_centre
    if data == Target.NARROW_MODE:
        if position[0] < 0.0:
            return -0.5 * (x + 20.0) ** 2, -x - 20.0
        return -50.0 * (x - 20.0) ** 2 + math.log(10.0), -100.0 * (x - 20.0)
    if data == Target.STAIRS:
        return -0.5 * x * x - (400.0 * math.floor(abs(x)) if i == 0 else 0.0), -x
    if data == Target.FLAT:
        return -(x**4), -4.0 * x**3
    if data == Target.CLIFF:
        return 0.0 if abs(x) < 1e-12 else -math.inf, 0.0
    return -0.5 * x * x, -x


@numba.njit(error_model="numpy")
def dependent_term(position, gradient, data, i):
    """Return the term of coordinate `i` and what came before; write or add its derivatives."""
    x, before = position[i], position[i - 1] if i > 0 else 0.0
    if data == Target.AUTOREGRESSIVE:
        slope = (x - 0.9 * before) / (0.19 if i > 0 else 1.0)
        gradient[i] = -slope
        if i > 0:
            gradient[i - 1] += 0.9 * slope
        return -0.5 * slope * (x - 0.9 * before)
    if data == Target.NECK:
        return hierarchy_term(position, gradient, i)
    if i == 0:
        gradient[0] = -x / 2.25
        return -0.5 * x * x / 2.25
    precision = math.exp(-position[0])
    gradient[i] = -x * precision
    gradient[0] += 0.5 * x * x * precision - 0.5
    return -0.5 * x * x * precision - 0.5 * position[0]


@numba.njit(error_model="numpy")
def hierarchy_term(position, gradient, i):
    """Return the term of the standard deviation, or of an effect of which 1.7 sin(i) was seen."""
    x, precision = position[i], math.exp(-2.0 * position[0])
    if i == 0:
        gradient[0] = 1.0 - math.exp(2.0 * x)
        return x - 0.5 * math.exp(2.0 * x)
    residual = 1.7 * math.sin(i) - x
    gradient[i] = residual - x * precision
    gradient[0] += x * x * precision - 1.0
    return -0.5 * x * x * precision - position[0] - 0.5 * residual * residual


@numba.njit
def scale(i, n):
    """Standard deviation of coordinate `i` of SCALED."""
    return 10.0 ** (6.0 * i / max(n - 1, 1) - 3.0)


_REALS, _WORDS = numba.types.CPointer(numba.float64), numba.types.CPointer(numba.int64)
_TARGET, _N_DIM = FIRST_WORD, FIRST_WORD + 1


@functools.cache
def _density_address() -> int:
    """Compile the densities, once a session, as the kernel calls them."""

    @numba.cfunc(numba.int32(_REALS, _REALS, _REALS, _WORDS), error_model="numpy")
    def called(position, lp, gradient, record):
        n_dim = record[_N_DIM]
        status, lp[0] = density(numba.carray(position, n_dim), numba.carray(gradient, n_dim), record[_TARGET])
        return status

    _density_address.keep = called
    return called.address


@functools.cache
def _record(target: Target, n_dim: int) -> np.ndarray:
    """Return the record of a target, which stays where it is."""
    words = np.zeros(FIRST_WORD + 2, dtype=np.int64)
    words[DENSITY_WORD], words[_TARGET], words[_N_DIM] = _density_address(), target, n_dim
    return words


class Reading(NamedTuple):
    """What a target reads."""

    address: int


class NativeTarget(NamedTuple):
    """A target as the driver takes it (`nutmill.run.run.NativeModel`)."""

    n_dim: int
    start: int
    advance: int
    pool: int
    mixing: int
    data: int
    sites: np.ndarray = np.zeros(0, np.int64)
    joint: np.ndarray = np.zeros(0, np.int64)
    written: np.ndarray = np.zeros(0)

    def reading(self, _centredness: np.ndarray) -> Reading:
        """Give what the target reads anyway: it has no sites."""
        return Reading(self.data)

    def release(self) -> None:
        """Keep nothing, release nothing."""

    def sentence_of(self, status: int) -> str:
        """Say what a status means."""
        return sentence(status)


def native(target: Target, n_dim: int) -> NativeTarget:
    """Give a target to the kernel that serves every model."""
    kernel = kernel_object(processor.target())
    entries = (kernel.address(name) for name in ("start", "advance", "pool", "mixing"))
    return NativeTarget(n_dim, *entries, _record(target, n_dim).ctypes.data)


def starts(target: Target, n_chains: int, n_dim: int, seed: int = 0) -> np.ndarray:
    """Draw initial points, (n_chains, n_dim), from U(-1, 1), where all targets but NOWHERE are finite."""
    points = np.random.default_rng(seed).uniform(-1.0, 1.0, (n_chains, n_dim))
    if target == Target.HALF_NORMAL:
        points[:, 0] = np.abs(points[:, 0])
    return points


def exact_draws(target: Target, n_draws: int, n_dim: int, seed: int = 0) -> np.ndarray:
    """Draw independently from a target, (n_draws, n_dim)."""
    rng = np.random.default_rng(seed)
    draws = rng.standard_normal((n_draws, n_dim))
    if target == Target.STUDENT:
        return rng.standard_t(5, (n_draws, n_dim))
    if target == Target.HALF_NORMAL:
        draws[:, 0] = np.abs(draws[:, 0])
    elif target == Target.FUNNEL:
        draws[:, 0] *= 1.5
        draws[:, 1:] *= np.exp(0.5 * draws[:, :1])
    elif target == Target.AUTOREGRESSIVE:
        for i in range(1, n_dim):
            draws[:, i] = 0.9 * draws[:, i - 1] + math.sqrt(0.19) * draws[:, i]
    return draws
