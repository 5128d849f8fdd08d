"""Sorts the draws of one scalar, in compiled code: by most of their bits first, then what is left by exchanges."""

from nutmill._jit import kernel
from nutmill.nuts.summaries.mixing_room import DIGIT_BITS, DIGITS, VALUES

# Bits of a draw that are sorted by at a time, and those of its index, which share a word.
_SORTED_BITS, _INDEX_BITS = DIGITS * DIGIT_BITS, 64 - DIGITS * DIGIT_BITS
# Exchanges for each draw; draws of which so many bits are alike that it takes more are sorted by all of their bits.
_EXCHANGES = 4
_SIGN = -(2**63)


@kernel
def sort(room):
    """Sort the indices of the draws in `room.values` into `room.order[0]`."""
    order, n = room.order[0], room.bits.size
    for i in range(n):
        order[i] = i
    first = max(_n_bits(room.bits) - _SORTED_BITS, 0)
    _sort_by(room, first)
    if first > 0 and not _finish(room.values, order, _EXCHANGES * n):
        _sort_by(room, 0)
        _sort_by(room, first)


@kernel
def _n_bits(bits):
    """How many of their lowest bits tell all draws apart."""
    differ, n_bits = 0, 0
    for i in range(bits.size):
        differ |= _key(bits[i]) ^ _key(bits[0])
    while n_bits < 64 and differ >> n_bits != 0:
        n_bits += 1
    return n_bits


@kernel
def _key(bits):
    """Change the bits of a number such that, read from the highest one, they have the order of the numbers."""
    return bits ^ ((bits >> 63) | _SIGN)


@kernel
def _sort_by(room, first):
    """Sort `room.order[0]` by some bits of the draws, from the bit `first` on, a digit at a time."""
    counts, order, n = room.counts, room.order, room.bits.size
    counts[:] = 0
    for i in range(n):
        index = order[0, i]
        part = (_key(room.bits[index]) >> first) & (2**_SORTED_BITS - 1)
        order[0, i] = part << _INDEX_BITS | index
        for digit in range(DIGITS):
            counts[digit, (part >> (digit * DIGIT_BITS)) & (VALUES - 1)] += 1
    row = 0
    for digit in range(DIGITS):
        place, start, shift = counts[digit], 0, _INDEX_BITS + digit * DIGIT_BITS
        for value in range(VALUES):
            place[value], start = start, start + place[value]
        for i in range(n):
            packed = order[row, i]
            value = (packed >> shift) & (VALUES - 1)
            order[1 - row, place[value]] = packed
            place[value] += 1
        row = 1 - row
    for i in range(n):
        order[0, i] = order[row, i] & (2**_INDEX_BITS - 1)


@kernel
def _finish(values, order, most):
    """Put the indices of draws in order that nearly are; return False if it takes more than so many exchanges."""
    for i in range(1, order.size):
        index, k = order[i], i
        value = values[index]
        while k > 0 and values[order[k - 1]] > value:
            order[k] = order[k - 1]
            k -= 1
        order[k] = index
        most -= i - k
        if most < 0:
            return False
    return True
