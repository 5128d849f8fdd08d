"""How chains mix, from the draws of one scalar: R-hat, bulk and tail effective sample size, as ArviZ computes them.

Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021): each chain is cut in two halves; R-hat is the larger one of
the normal scores of draws, and of draws folded at their median; effective sample sizes stop at Geyer's initial
monotone sequence.
"""

import math

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.summaries.effective_size import effective_size, mean_of
from nutmill.nuts.summaries.mixing_room import N_MIXINGS
from nutmill.nuts.summaries.sorting import sort

TAILS = (0.05, 0.95)


@kernel
def judge(room, first, last):
    """Write into `room.found` for the scalars from `first` to before `last`."""
    for scalar in range(first, last):
        take(room, scalar)
        found = mixing(room, room.draws.shape[0])
        for i in range(N_MIXINGS):
            room.found[scalar, i] = found[i]


@kernel
def take(room, scalar):
    """Put the draws of one scalar into `room.values`."""
    n_chains, n_draws, _ = room.draws.shape
    for chain in range(n_chains):
        for draw in range(n_draws):
            room.values[chain * n_draws + draw] = room.draws[chain, draw, scalar]


@kernel
def mixing(room, n_chains):
    """Return R-hat, bulk and tail effective sample size of the finite draws in `room.values`, and put them in order."""
    sort(room)
    order = room.order[0]
    low, high = quantile(room, order, TAILS[0]), quantile(room, order, TAILS[1])
    _order_halves(room, order)
    _score(room.flat, room.ordered, room.places, room.scores)
    rhat = _rhat(room.z)
    bulk = effective_size(room)
    _fold(room)
    _score(room.flat, room.folded, room.folded_places, room.scores)
    rhat = max(rhat, _rhat(room.z))
    mark_below(room, n_chains, low)
    tail = effective_size(room)
    mark_below(room, n_chains, high)
    return rhat, bulk, min(tail, effective_size(room))


@kernel
def quantile(room, order, probability):
    """Interpolate between two ordered draws, rounding as NumPy does."""
    position = probability * (order.size - 1)
    below = min(int(position), order.size - 2)
    weight = position - below
    low, high = room.values[order[below]], room.values[order[below + 1]]
    if weight >= 0.5:
        return high - (high - low) * (1.0 - weight)
    return low + (high - low) * weight


@kernel
def _order_halves(room, order):
    """Put ordered draws and their places into `room`, without the one in the middle of a chain of odd length."""
    count = 0
    for index in order:
        place = room.place_of[index]
        if place >= 0:
            room.ordered[count] = room.values[index]
            room.places[count] = place
            count += 1


@kernel
def _score(flat, ordered, places, scores):
    """Write the normal score of each value's rank into `flat`; equal values have their mean rank."""
    size, first = ordered.size, 0
    while first < size:
        last = first + 1
        while last < size and ordered[last] == ordered[first]:
            last += 1
        for i in range(first, last):
            flat[places[i]] = scores[first + 1 + last]
        first = last


@kernel
def _fold(room):
    """Order the distances from the median by merging both sides, from the median and from the ends at once.

    As many draws lie on either side as are merged either way, so that no side comes to its end.
    """
    ordered, places, folded, folded_places = room.ordered, room.places, room.folded, room.folded_places
    half, last = ordered.size // 2, ordered.size - 1
    median = 0.5 * (ordered[half - 1] + ordered[half])
    left, right, lowest, highest = half - 1, half, 0, last
    for i in range(half):  # which side it is, is chance: without a jump, as most of them would be foretold wrongly
        below, above = median - ordered[left], ordered[right] - median
        is_above = int(above < below)
        folded[i], folded_places[i] = min(above, below), places[left + is_above * (right - left)]
        left, right = left - 1 + is_above, right + is_above
        below, above = median - ordered[lowest], ordered[highest] - median
        is_above = int(above >= below)
        folded[last - i] = max(above, below)
        folded_places[last - i] = places[lowest + is_above * (highest - lowest)]
        lowest, highest = lowest + 1 - is_above, highest - is_above


@kernel
def mark_below(room, n_chains, limit):
    """Write into `room.z` which draws are at most `limit`."""
    n_draws, half = room.values.size // n_chains, room.z.shape[1]
    for sequence in range(2 * n_chains):
        first = sequence // 2 * n_draws + (n_draws - half if sequence % 2 else 0)
        for i in range(half):
            room.z[sequence, i] = 1.0 if room.values[first + i] <= limit else 0.0


@kernel
def _rhat(z):
    n_sequences, n = z.shape
    within, mean_of_means, between = 0.0, 0.0, 0.0
    for sequence in range(n_sequences):
        mean = mean_of(z[sequence])
        within += squares(z[sequence], mean) / (n - 1.0)
        mean_of_means += mean
    mean_of_means /= n_sequences
    for sequence in range(n_sequences):
        between += (mean_of(z[sequence]) - mean_of_means) ** 2
    between *= n / (n_sequences - 1.0)
    within /= n_sequences
    return math.sqrt((between / within + n - 1.0) / n)


@vector_kernel
def squares(values, centre):
    total = 0.0
    for value in values:
        total += (value - centre) ** 2
    return total
