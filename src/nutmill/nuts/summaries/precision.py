"""How precise estimates from draws are: what their Monte Carlo standard errors are made of, as ArviZ computes them."""

import math

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.summaries.effective_size import effective_size, mean_of
from nutmill.nuts.summaries.mixing import TAILS, mark_below, quantile, squares, take
from nutmill.nuts.summaries.sorting import sort

# What `measure` writes for each scalar; the first three for `scalar_summary` too.
MEAN, SD, MCSE_MEAN, MCSE_SD, ESS_LOW, ESS_MEDIAN, ESS_HIGH = range(7)


@kernel
def measure(room, first, last):
    """Write into `room.found` for the scalars from `first` to before `last`, and leave their draws in order."""
    for scalar in range(first, last):
        take(room, scalar)
        sort(room)
        order = room.order[0]
        _measure(room, order, room.found[scalar])
        n_draws = room.draws.shape[1]
        for i in range(order.size):
            room.draws[i // n_draws, i % n_draws, scalar] = room.values[order[i]]


@kernel
def _measure(room, order, found):
    n_chains, values = room.draws.shape[0], room.values
    found[ESS_LOW] = _size_below(room, n_chains, quantile(room, order, TAILS[0]))
    found[ESS_MEDIAN] = _size_below(room, n_chains, quantile(room, order, 0.5))
    found[ESS_HIGH] = _size_below(room, n_chains, quantile(room, order, TAILS[1]))
    mean, spread, scale = mean_and_error(room, n_chains, found)
    _standardise(room, n_chains, mean, scale)
    fourth = _square(values, mean, scale, room.z)
    found[MCSE_SD] = math.sqrt((fourth - 1.0) / effective_size(room) / 4.0 * spread)


@kernel
def mean_and_error(room, n_chains, found):
    """Write mean, standard deviation and the mean's error; return mean, variance and what standardises draws."""
    values = room.values
    mean = mean_of(values)
    spread = squares(values, mean) / values.size
    found[MEAN], found[SD] = mean, math.sqrt(spread * values.size / (values.size - 1.0))
    # In units of the spread: an effective size has no unit, but tells what never moves by its size.
    scale = 1.0 / math.sqrt(spread) if spread > 0.0 else 0.0
    _standardise(room, n_chains, mean, scale)
    found[MCSE_MEAN] = found[SD] / math.sqrt(effective_size(room))
    return mean, spread, scale


@kernel
def _size_below(room, n_chains, limit):
    mark_below(room, n_chains, limit)
    return effective_size(room)


@kernel
def _standardise(room, n_chains, mean, scale):
    """Write into `room.z` the draws, moved and scaled."""
    n_draws, half = room.values.size // n_chains, room.z.shape[1]
    for sequence in range(2 * n_chains):
        first = sequence // 2 * n_draws + (n_draws - half if sequence % 2 else 0)
        for i in range(half):
            room.z[sequence, i] = (room.values[first + i] - mean) * scale


@vector_kernel
def _square(values, mean, scale, z):
    """Square `z`; return the mean fourth power of the values."""
    for sequence in range(z.shape[0]):
        for i in range(z.shape[1]):
            z[sequence, i] *= z[sequence, i]
    total = 0.0
    for value in values:
        total += ((value - mean) * scale) ** 4
    return total / values.size
