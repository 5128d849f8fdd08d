"""How chains mix, from the draws of one scalar: R-hat, bulk and tail effective sample size, as ArviZ computes them.

Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021): each chain is cut in two halves; R-hat is the larger one of
the normal scores of draws, and of draws folded at their median; effective sample sizes stop at Geyer's initial
monotone sequence.
"""

import math

from nutmill._jit import kernel, vector_kernel
from nutmill.nuts.effective_size import effective_size, mean_of
from nutmill.nuts.mixing_room import BYTES, N_MIXINGS, VALUES

TAILS = (0.05, 0.95)


@kernel
def judge(room, first, last):
    """Write into `room.found` for the scalars from `first` to before `last`."""
    for scalar in range(first, last):
        take(room, scalar)
        found = _mixing(room, room.draws.shape[0])
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
def _mixing(room, n_chains):
    """Return R-hat, bulk and tail effective sample size of the finite draws in `room.values`."""
    order = room.order[sort(room)]
    low, high = quantile(room, order, TAILS[0]), quantile(room, order, TAILS[1])
    _order_halves(room, order, n_chains)
    _score(room.z, room.ordered, room.places, room.scores)
    rhat = _rhat(room.z)
    bulk = effective_size(room)
    _fold(room)
    _score(room.z, room.folded, room.folded_places, room.scores)
    rhat = max(rhat, _rhat(room.z))
    mark_below(room, n_chains, low)
    tail = effective_size(room)
    mark_below(room, n_chains, high)
    return rhat, bulk, min(tail, effective_size(room))


@kernel
def sort(room):
    """Sort the indices of the draws byte by byte of their bits; return which row of `room.order` has them."""
    counts, keys, n = room.counts, room.bits, room.bits.size
    counts[:] = 0
    for i in range(n):
        room.order[0, i] = i
        for byte in range(BYTES):
            counts[byte, _digit(keys[i], byte)] += 1
    row = 0
    for byte in range(BYTES):
        if counts[byte, _digit(keys[0], byte)] == n:
            continue
        first = 0
        for value in range(VALUES):
            counts[byte, value], first = first, first + counts[byte, value]
        for i in range(n):
            index = room.order[row, i]
            digit = _digit(keys[index], byte)
            room.order[1 - row, counts[byte, digit]] = index
            counts[byte, digit] += 1
        row = 1 - row
    return row


@kernel
def _digit(bits, byte):
    """Return a byte of a number's bits, such that the order of all bytes is that of the numbers."""
    flipped = bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)  # negative numbers ascend, too
    digit = (flipped >> (8 * byte)) & 255
    return digit ^ 128 if byte == BYTES - 1 else digit


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
def _order_halves(room, order, n_chains):
    """Put ordered draws and their places into `room`, without the one in the middle of a chain of odd length."""
    n_draws, half = order.size // n_chains, room.z.shape[1]
    count = 0
    for index in order:
        chain, draw = index // n_draws, index % n_draws
        if draw >= half:
            draw -= n_draws - 2 * half
            if draw < half:
                continue
        room.ordered[count] = room.values[index]
        room.places[count] = 2 * half * chain + draw
        count += 1


@kernel
def _score(z, ordered, places, scores):
    """Write the normal score of each value's rank into `z`; equal values have their mean rank."""
    half, size, first = z.shape[1], ordered.size, 0
    while first < size:
        last = first + 1
        while last < size and ordered[last] == ordered[first]:
            last += 1
        for i in range(first, last):
            z[places[i] // half, places[i] % half] = scores[first + 1 + last]
        first = last


@kernel
def _fold(room):
    """Order the distances from the median by merging both sides."""
    ordered, size = room.ordered, room.ordered.size
    median = 0.5 * (ordered[(size - 1) // 2] + ordered[size // 2])
    right = size // 2
    while right > 0 and ordered[right - 1] >= median:
        right -= 1
    left = right - 1
    for i in range(size):
        if left < 0 or (right < size and ordered[right] - median < median - ordered[left]):
            room.folded[i], room.folded_places[i] = ordered[right] - median, room.places[right]
            right += 1
        else:
            room.folded[i], room.folded_places[i] = median - ordered[left], room.places[left]
            left -= 1


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
