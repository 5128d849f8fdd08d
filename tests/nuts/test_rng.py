"""The streams: the published sequence, independent chains, uniform and normal numbers."""

import numpy as np
import pytest
from assertions import assert_distribution
from nuts.oracle import next_word, normals, uniform
from scipy import stats

from nutmill.nuts.group import seed_stream


def reference_words(state: list[int], n: int) -> list[int]:
    """Run xoshiro256++ in unbounded integers, as its authors write it."""
    s, words, mask = list(state), [], 2**64 - 1

    def rotate(x, k):
        return (x << k | x >> (64 - k)) & mask

    for _ in range(n):
        words.append((rotate((s[0] + s[3]) & mask, 23) + s[0]) & mask)
        t = s[1] << 17 & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
    return words


def test_words_are_those_of_xoshiro():
    state = np.array([1, 2, 3, 4], np.uint64)
    assert [int(next_word(state)) for _ in range(100)] == reference_words([1, 2, 3, 4], 100)
    # The first word for this state, as published with the algorithm's reference implementations.
    assert reference_words([1, 2, 3, 4], 1) == [41943041]


def test_streams_depend_on_seed_and_chain():
    streams = {tuple(seed_stream(seed, chain)) for seed in range(3) for chain in range(5)}
    assert len(streams) == 15


@pytest.mark.parametrize("n", [1, 2, 7])
def test_normals_fill_any_length(n):
    assert np.unique(normals(seed_stream(0, 0), n)).size == n


def test_numbers_have_their_distributions(seed):
    state = seed_stream(7 + seed, 0)
    assert_distribution(np.array([uniform(state) for _ in range(100_000)]), stats.uniform.cdf)
    draws = normals(state, 2_000_000)
    assert_distribution(draws, stats.norm.cdf)
    # The tail has its own branch, beyond 3.654.
    tail = np.abs(draws[np.abs(draws) > 3.7])
    z = (len(tail) / len(draws) - 2 * stats.norm.sf(3.7)) / np.sqrt(2 * stats.norm.sf(3.7) / len(draws))
    assert abs(z) < 4.5
    assert_distribution(tail, lambda x: 1.0 - stats.norm.sf(x) / stats.norm.sf(3.7))
    assert_distribution(draws[:-1:2] + draws[1::2], stats.norm(0, np.sqrt(2)).cdf)
