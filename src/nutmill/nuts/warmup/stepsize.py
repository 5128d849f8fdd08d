"""The step size: the search at the start, and dual averaging during warmup (Hoffman and Gelman 2014, 3.2)."""

import math

import numpy as np

from nutmill._jit import kernel
from nutmill.errors import Status
from nutmill.nuts.hamiltonian import begin, leapfrog
from nutmill.nuts.metric import prepare
from nutmill.nuts.rng import uniform

_FIRST_STEP = 0.1
_SMALLEST_STEP, _LARGEST_STEP = 1e-10, 1e5
_MAX_PROBES = 50
_STEP_SIZE_NOT_FOUND = int(Status.STEP_SIZE_NOT_FOUND)

# Points of the one-step trajectory; not plain integers, for which Numba would compile the step once more.
_FIRST, _SECOND = np.int64(0), np.int64(1)

_LOG_TEN = math.log(10.0)
_GAMMA, _DELAY, _KAPPA = 0.05, 10.0, 0.75
# Calmer steps once the metric rests: at wildly varying ones mean acceptance says little about that of their mean.
_TERMINAL_GAMMA = 0.25
# In the units of the metric pi is half a period of a standard normal: no longer step helps.
_LARGEST_LOG_STEP = math.log(math.pi)
_JITTER = 0.1
LARGEST_LOG_JITTER = math.log1p(_JITTER)


@kernel
def jitter(rng):
    """Draw the factor that the steps of one trajectory differ by from those of the others."""
    return 1.0 - _JITTER + 2.0 * _JITTER * uniform(rng)


@kernel
def restart(chain, log_step, log_centre):
    """Begin dual averaging anew at `log_step`, drawn towards `log_centre`."""
    chain.log_step = log_step
    chain.log_step_bar = log_step
    chain.log_step_centre = log_centre
    chain.gamma = _GAMMA
    chain.shortfall = 0.0
    chain.n_updates = 1
    chain.n_averaged = 0


@kernel
def settle(chain):
    """Begin dual averaging anew for the terminal stage: from the mean so far, which it forgets, in calmer steps."""
    restart(chain, chain.log_step_bar, chain.log_step_bar)
    chain.gamma = _TERMINAL_GAMMA


@kernel
def restart_after_search(chain, log_step):
    """Begin dual averaging at a step size that a search has found, drawn towards ten times as long steps."""
    restart(chain, log_step, log_step + _LOG_TEN)


@kernel
def log_step_found(chain):
    """Return the step size at which the search ended that dual averaging began with."""
    return chain.log_step_centre - _LOG_TEN


@kernel
def update(chain, acceptance, target_accept):
    """Advance dual averaging by the acceptance statistic of one draw."""
    weight = 1.0 / (chain.n_updates + _DELAY)
    chain.shortfall += weight * (target_accept - acceptance - chain.shortfall)
    proposal = chain.log_step_centre - math.sqrt(chain.n_updates) / chain.gamma * chain.shortfall
    chain.log_step = min(proposal, _LARGEST_LOG_STEP)
    chain.n_updates += 1
    chain.n_averaged += 1
    weight = chain.n_averaged ** (-_KAPPA)
    chain.log_step_bar += weight * (chain.log_step - chain.log_step_bar)


@kernel
def _acceptance_of_one_step(trajectory, step_size):
    """Return a negative status, or the acceptance probability of one leapfrog with a fresh momentum."""
    begin(trajectory, step_size)
    status = leapfrog(trajectory, _FIRST, _SECOND, step_size)
    trajectory.chain.n_gradients += 1
    if status < 0:
        return float(status)
    error = trajectory.points[_SECOND].energy - trajectory.tree.initial_energy
    if status > 0 or not (-math.inf < error < math.inf):
        return 0.0
    return math.exp(-max(error, 0.0))


@kernel
def search(trajectory, target_accept):
    """Double or halve from 0.1 until the acceptance of one step crosses the target.

    Returns a status, which is 0, STEP_SIZE_NOT_FOUND, or the negative status of the density; and the logarithm of the
    step.
    """
    prepare(trajectory.metric)
    step_size = _FIRST_STEP
    acceptance = _acceptance_of_one_step(trajectory, step_size)
    growing = acceptance > target_accept
    factor = 2.0 if growing else 0.5
    for _ in range(_MAX_PROBES):
        if acceptance < 0.0:
            return int(acceptance), 0.0
        crossed = acceptance <= target_accept if growing else acceptance >= target_accept
        if crossed or step_size >= _LARGEST_STEP:
            return 0, math.log(step_size)
        step_size *= factor
        if step_size < _SMALLEST_STEP:
            break
        acceptance = _acceptance_of_one_step(trajectory, step_size)
    return _STEP_SIZE_NOT_FOUND, 0.0
