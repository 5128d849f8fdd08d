"""Directions that the diagonal metric does not see: fitted to draws and gradients, and proven on other draws.

The metric of least Fisher divergence for draws with covariance A and gradients with covariance B is their geometric
mean Sigma, with Sigma B Sigma = A (Seyboldt et al. 2026). It is found where the diagonal one is the identity, in the
span of the draws and gradients, and what differs from 1 in it by a factor of two or more is a candidate; in few
dimensions, by the root of two. As many are taken as can be found again in draws that did not take part: those of the
other half of the chains.

Of independent standard normals a draw q has the gradient -q, so what sums of draws and gradients span is where anything
is to be found. Where that is little, a fit is made there, and the last one, to all draws, in the span of what the
halves have proven: at a small part of the cost.
"""

import math
from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel, vector_kernel
from nutmill.nuts.linear_algebra import (
    add_multiple,
    dot,
    factorise,
    orthogonalise_rows,
    orthonormal_basis_into,
    scale_in_place,
    solve_transposed,
)
from nutmill.nuts.state import MOST_PROVEN
from nutmill.nuts.table import matrices_in
from nutmill.nuts.vectors import copy_into
from nutmill.nuts.warmup.window import BOTH, gather_rows

# How many draws there must be at least.
_FEWEST_ROWS = 6
# Draws and gradients that are taken for granted, each of unit size, in every direction: they keep it near 1.
_PRIOR_ROWS = 0.1
# A fit in so few dimensions is made in all of them: it takes no time.
_SMALL = 64
# What is left to the diagonal: its correlations stretch and shrink, so that what is left has a condition number of the
# square of this. In few dimensions directions cost next to nothing, and that of two draws takes down to the root of it.
_LARGEST_UNSEEN, _LARGEST_UNSEEN_IF_SMALL = math.log(2.0), 0.5 * math.log(2.0)
# How far from 1 other draws must see a direction: so far, or by so many standard errors. Chance sees one of 64 so once
# in twelve times, and it would have to in both halves.
_SURE, _FEWEST_ERRORS = 0.5 * math.log(2.0), 3.0
# Mean square of sums of draws and gradients along what may be of a direction: a fifth of that of a stretch by two,
# which is (2^1/2 - 2^-1/2)^2. Where it is more in over a quarter of the dimensions, many weak directions act together:
# to leave out what lies below costs a tenth of the effective draws of item responses.
_LEAST_SUM = 0.1
# What is added to eigenvalues, which are means of squares, so that those of rounding errors are found as quickly.
_RIDGE, _ROUNDING = 0.1, 1e-6


class Room(NamedTuple):
    """Where directions are learned."""

    rows: np.ndarray  # (m, n) float64: for draws, gradients, a basis of their span
    matrices: np.ndarray  # (3, k, k) float64
    found: np.ndarray  # (max_rank, n) float64: orthonormal candidates, the furthest from 1 first
    stretch: np.ndarray  # (max_rank or more,) float64: theirs
    squares: np.ndarray  # (k,) float64: of the lengths of rows that have been made orthogonal
    proven: np.ndarray  # (p, n) float64: for candidates of each half that the other one has confirmed


@inlined_kernel
def room_of(state):
    """View the room of a group."""
    max_rank, n_rows = state.directions.shape[1], state.low_rank_rows.shape[0]
    n_proven = min(MOST_PROVEN, 2 * max_rank)
    found = n_rows - n_proven - max_rank
    return Room(
        state.low_rank_rows[:found],
        state.low_rank_matrices,
        state.low_rank_rows[found : n_rows - n_proven],
        state.pool_work[0],
        state.pool_work[1],
        state.low_rank_rows[n_rows - n_proven :],
    )


@kernel
def proven_rank(window, variance, room):
    """Find the directions of the members of a window, into `room`; return how many to trust.

    Parameters
    ----------
    variance : (n,) float64
        The diagonal metric.
    """
    fewest, most, n_found, n_proven = math.inf, 0, 0, 0
    # Each half, and then both: a loop, so that the compiler sees each function called once.
    for half in (0, 1, BOTH):
        if fewest == 0:
            return 0
        n_rows = _gather(window, variance, room, half)
        n_found = _fit(room, n_rows, n_proven if half == BOTH else 0) if n_rows >= _FEWEST_ROWS else 0
        # A direction for each draw, of which a half has half: the guard against more is that others confirm it.
        n_found = min(n_found, n_rows if half == BOTH else 2 * n_rows)
        if half != BOTH:
            n_confirmed = _confirm(room, n_found, _gather(window, variance, room, 1 - half), n_proven)
            fewest, most, n_proven = min(fewest, n_confirmed), max(most, n_confirmed), n_proven + n_confirmed
    return min(n_found, most)


@kernel
def _confirm(room, n_found, n_rows, n_proven):
    """Return how many directions are stretched or shrunk in other draws, too; put these after `n_proven` others."""
    n_confirmed = 0
    for k in range(n_found):
        seen, error = _log_stretch_seen(room.rows[: 2 * n_rows], room.found[k])
        least = min(_SURE, max(0.5 * _largest_unseen(room), _FEWEST_ERRORS * error))
        if seen * math.log(room.stretch[k]) > 0.0 and abs(seen) > least:
            if n_proven + n_confirmed < room.proven.shape[0]:
                copy_into(room.found[k], room.proven[n_proven + n_confirmed])
            n_confirmed += 1
    return n_confirmed


@kernel
def _log_stretch_seen(rows, direction):
    """Return the logarithm of how far draws and gradients by turns stretch along a direction, and its standard error.

    The error is that of independent draws by the delta method. It is 0 where gradients are proportional to draws.
    """
    spread, force, spread_squares, force_squares, products = 0.0, 0.0, 0.0, 0.0, 0.0
    for row in range(0, rows.shape[0], 2):
        position, gradient = dot(rows[row], direction) ** 2, dot(rows[row + 1], direction) ** 2
        spread += position
        force += gradient
        spread_squares += position * position
        force_squares += gradient * gradient
        products += position * gradient
    variance = spread_squares / spread**2 + force_squares / force**2 - 2.0 * products / (spread * force)
    return 0.5 * math.log(spread / force), 0.5 * math.sqrt(max(variance, 0.0))


@kernel
def _largest_unseen(room):
    """Return the logarithm of the furthest stretch that is left to the diagonal."""
    return _LARGEST_UNSEEN_IF_SMALL if room.rows.shape[1] <= _SMALL else _LARGEST_UNSEEN


@kernel
def _gather(window, variance, room, half):
    """Put draws and gradients by turns into the room, in the units of the diagonal metric; return how many."""
    n_rows = gather_rows(window, half, room.rows)
    for row in range(n_rows):
        _scale(variance, room.rows[2 * row], room.rows[2 * row + 1])
    return n_rows


@vector_kernel
def _scale(variance, position, gradient):
    for i in range(variance.shape[0]):
        scale = math.sqrt(variance[i])
        position[i] /= scale
        gradient[i] *= scale


@kernel
def _fit(room, n_rows, n_proven):
    """Fill `found` and `stretch` from the draws and gradients in the room; return how many there are.

    With `n_proven` directions in `proven` that is done in their span alone, if it is much smaller; without, in that of
    sums of draws and gradients.
    """
    n_dim, max_size = room.rows.shape[1], room.matrices.shape[1]
    rows, basis = room.rows[: 2 * n_rows], room.rows[2 * n_rows : 2 * n_rows + max_size]
    is_narrow = 0 < n_proven <= min(room.proven.shape[0], max_size // 4) and max_size > _SMALL
    n_seen = _take_sums(rows, basis, room) if n_proven == 0 and max_size > _SMALL and n_rows < n_dim else -1
    if n_seen == 0:
        return 0
    is_whole = n_dim <= min(2 * n_rows, max_size) and not is_narrow and n_seen < 0
    spanning = rows
    if is_narrow:
        spanning = room.proven[:n_proven]
    elif n_seen > 0:
        spanning = room.found[:n_seen]
    size = n_dim if is_whole else orthonormal_basis_into(spanning, basis)
    basis = basis[: 0 if is_whole else size]
    matrices = matrices_in(room.matrices, size)
    _second_moments_into(rows, basis, matrices)
    for kind in range(2):
        if not factorise(matrices[kind]):
            return 0
    _geometric_mean_rows(matrices[0], matrices[1], matrices[2], room.squares)
    return _take_furthest(matrices[2], basis, room)


@kernel
def _take_sums(rows, sums, room):
    """Put into `found` what sums of draws and gradients span; return how many there are, -1 if it is not worth it.

    Parameters
    ----------
    rows : (2 m, n) float64
        Draws and gradients by turns.
    sums : (m or more, n) float64
        Overwritten.
    """
    n_sums, n_seen = rows.shape[0] // 2, 0
    products = matrices_in(room.matrices, n_sums)[0]
    for i in range(n_sums):
        copy_into(rows[2 * i], sums[i])
        add_multiple(sums[i], 1.0, rows[2 * i + 1])
        for j in range(i + 1):
            products[i, j] = products[j, i] = dot(sums[i], sums[j])
    trace = 0.0
    for i in range(n_sums):
        trace += products[i, i]
    ridge = _RIDGE * n_sums + _ROUNDING * trace
    for i in range(n_sums):
        products[i, i] += ridge
    orthogonalise_rows(products, room.squares)
    for k in range(n_sums):
        eigenvalue = math.sqrt(room.squares[k])
        if eigenvalue - ridge > _LEAST_SUM * n_sums:
            if n_seen == min(n_sums // 4, room.found.shape[0]):
                return -1
            out = room.found[n_seen]
            out[:] = 0.0
            for i in range(n_sums):
                add_multiple(out, products[k, i] / eigenvalue, sums[i])
            n_seen += 1
    return n_seen


@kernel
def _second_moments_into(rows, basis, out):
    """Sum the outer products of draws and of gradients, in the coordinates of a basis, none: their own.

    Parameters
    ----------
    rows : (m, n) float64
        Draws and gradients by turns.
    basis : (size, n) float64
    out : (3, size, size) float64
        What the last matrix had in it is lost.
    """
    size, coordinates = out.shape[1], out[2, 0]
    out[:, :, :] = 0.0
    for kind in range(2):
        for i in range(size):
            out[kind, i, i] = _PRIOR_ROWS
    for row in range(rows.shape[0]):
        if basis.shape[0] == 0:
            copy_into(rows[row], coordinates)
        for k in range(basis.shape[0]):
            coordinates[k] = dot(basis[k], rows[row])
        for i in range(size):
            add_multiple(out[row % 2, i], coordinates[i], coordinates)


@kernel
def _geometric_mean_rows(spread, force, out, squares):
    """Write orthogonal rows r_k of which sum_k r_k r_k' is Sigma, given the Cholesky factors C of A and L of B.

    C' L has the singular values s and right singular vectors v that make Sigma = Z Z' with Z = L'^-1 V diag(s)^1/2.
    """
    size = spread.shape[0]
    out[:, :] = 0.0
    for i in range(size):
        for m in range(i, size):
            add_multiple(out[i, : m + 1], spread[m, i], force[m, : m + 1])
    orthogonalise_rows(out, squares)
    for i in range(size):
        scale_in_place(out[i], squares[i] ** -0.25)
        solve_transposed(force, out[i])
    orthogonalise_rows(out, squares)


@kernel
def _take_furthest(rows, basis, room):
    """Take of orthogonal rows those whose length, squared in the room, is furthest from 1; return how many."""
    largest_unseen = _largest_unseen(room)
    for n_found in range(room.found.shape[0]):
        furthest, distance = 0, 0.0
        for k in range(rows.shape[0]):
            log_stretch = abs(math.log(room.squares[k]))
            if log_stretch > distance:
                furthest, distance = k, log_stretch
        if not distance > largest_unseen:
            return n_found
        row, out = rows[furthest], room.found[n_found]
        room.stretch[n_found] = room.squares[furthest]
        scale_in_place(row, 1.0 / math.sqrt(room.stretch[n_found]))
        room.squares[furthest] = 1.0  # so that it is not taken again
        out[:] = 0.0
        if basis.shape[0] == 0:
            copy_into(row, out)
        for k in range(basis.shape[0]):
            add_multiple(out, row[k], basis[k])
        for k in range(n_found):
            add_multiple(out, -dot(room.found[k], out), room.found[k])
    return room.found.shape[0]
