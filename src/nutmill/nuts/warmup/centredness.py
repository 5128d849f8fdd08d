"""Which centrednesses fit the draws: the rule by which the chains of a group choose their coordinates.

An element costs log sd(x) + log sd(g) in coordinates x with gradients g: the least is 0, that of a Gaussian, and what
it costs in other coordinates follows in closed form (`nuts.recentring`). It is the criterion of the metric (Seyboldt et
al. 2026), before there is one. Fully centred coordinates have a neck where the scale comes near 0, where no draw may
have been yet: what that costs is known without draws, by how widely the scale varies. A site takes the centrednesses
that one half of the chains chooses only if the other half, which did not take part, finds them better too.

Candidates are evenly spaced at the scale that an element usually has; what is kept is what each is at a scale of 1.
"""

import math
from typing import NamedTuple

import numpy as np

from nutmill._jit import inlined_kernel, kernel
from nutmill.nuts.recentring import deviate_of, width
from nutmill.nuts.site_basis import Basis
from nutmill.nuts.state import BY_LARGEST, DRAW_LOCATION, DRAW_LOG_SCALE, N_BLOCKS, TOGETHER
from nutmill.nuts.turning import basis_of
from nutmill.nuts.warmup.moments import in_window
from nutmill.nuts.warmup.window import window_of

# Draws that each half must have.
_FEWEST_ROWS = 8
# By how much the elements of a site must become better, in the mean; and all of them, however many they are.
LEAST_GAIN, LEAST_GAIN_OF_SITE = 0.003, 0.1
# A scale that varies further than this makes a neck of what is not quite non-centred.
WIDEST_LOG_SCALE = 2.0
# How elements choose: each for itself, or drawn to what suits the whole site; one for all of a site; and not at all,
# which is 0, or 1, for all of it.
_FREE, _DRAWN, _DRAWN_MORE, _ALIKE, _NON_CENTRED, _CENTRED = range(6)
_PULL, _LARGER_PULL = 1.0, 10.0
TOO_MUCH = 1e10
_LOG_TEN = math.log(10.0)


class Elements(NamedTuple):
    """What is known of each of n elements before draws are asked."""

    basis: Basis
    now: np.ndarray  # (n,) float64: its centredness
    log_scale: np.ndarray  # (n,) float64: the mean over the window


@inlined_kernel
def propose(state, n_draws):
    """Write into `proposed` what the admitted chains want; return whether that is another place than where they are.

    True as well where sites of joint elements have yet to be compared.
    """
    chains, leader, n_members = state.chains, 0, 0
    for number in range(chains.shape[0]):
        chains[number].member = chains[number].admitted
        if chains[number].admitted and n_members == 0:
            leader = number
        n_members += chains[number].admitted
    moves = False
    if n_members > 0 and state.centredness.shape[1] > 0:
        window = window_of(state, n_draws)
        elements = Elements(basis_of(state), state.centredness[leader], state.usual_log_scale)
        _usual_into(window, state.sites, state.usual_log_scale)
        _take_largest(state.sites, state.joint, state.usual_log_scale)
        if _judge(window, n_members, elements, state.pool_work, state.losses) >= _FEWEST_ROWS:
            moves = _choose_all(elements, state.losses, state.proposed) or has_joint_sites(state.joint)
    return moves


@kernel
def has_joint_sites(joint):
    """Whether there are sites whose elements have to choose together."""
    n_joint = 0
    for i in range(joint.shape[0]):
        n_joint += is_joint(joint[i])
    return n_joint > 0


@kernel
def is_joint(kind):
    """Whether the elements of a site of some kind have to choose together, by `nuts.warmup.trial_coordinates`."""
    return kind in (TOGETHER, BY_LARGEST)


@kernel
def at_one(centredness, log_scale):
    """Return the centredness at a scale of 1 of an element that has another one at another scale."""
    return centredness / (centredness + (1.0 - centredness) * math.exp(2.0 * log_scale))


@kernel
def at_scale(at_one, log_scale):
    """Return the centredness at a scale of an element that has another one at a scale of 1."""
    squared = math.exp(2.0 * log_scale)
    return at_one * squared / (1.0 - at_one + at_one * squared)


@kernel
def _usual_into(window, sites, out):
    """Write the mean of each element's log scale over the window; 0 for elements of no site."""
    n_rows = 0
    out[:] = 0.0
    for number in range(window.chains.shape[0]):
        for block in range(N_BLOCKS):
            record = window.blocks[number, block]
            if window.chains[number].member and in_window(record, window.n_draws):
                for k in range(record.n_rows):
                    n_rows += 1
                    for i in range(sites.shape[0]):
                        if sites[i] >= 0:
                            out[i] += (window.rows[number, block, k, DRAW_LOG_SCALE, i] - out[i]) / n_rows


@kernel
def _take_largest(sites, joint, log_scale):
    """Give elements of correlated vectors one log scale: that of a tenth of the largest scale of their site.

    What is left of the scale of one whose neighbours are known says nothing of how well data should tell of it; and
    they may tell of the whole vector far better than its scale is large.
    """
    for i in range(sites.shape[0]):
        if joint[i] == BY_LARGEST and (i == 0 or sites[i - 1] != sites[i]):
            end, largest = i, -math.inf
            while end < sites.shape[0] and sites[end] == sites[i]:
                largest = max(largest, log_scale[end])
                end += 1
            log_scale[i:end] = largest - _LOG_TEN


@kernel
def _judge(window, n_members, elements, work, losses):
    """Fill (2, n, k) `losses`: what each candidate costs in the eyes of each half; return draws of the smaller half."""
    n_rows = window.rows.shape[0] * window.rows.shape[1] * window.rows.shape[2]
    for half in range(2):
        for i in range(losses.shape[1]):
            if elements.basis.sites[i] >= 0 and not is_joint(elements.basis.joint[i]):
                n_rows = min(n_rows, _losses_into(window, (half, n_members), i, elements, work, losses[half, i]))
    return n_rows


@kernel
def _losses_into(window, which, i, elements, work, out):
    """Write what each candidate costs element `i` in the eyes of one half of the chains; return its number of draws.

    Parameters
    ----------
    which : (int, int)
        The half, 0 or 1, and how many chains there are: half a chain is every other block.
    i : int
        The element.
    work : (4, k or more) float64
    out : (k,) float64
    """
    half, n_members = which
    n_rows, place, mean, squares = 0, 0, 0.0, 0.0
    work[:, : out.shape[0]] = 0.0
    for number in range(window.chains.shape[0]):
        if window.chains[number].member:
            for block in range(N_BLOCKS):
                part = (place if n_members > 1 else block) % 2
                record = window.blocks[number, block]
                if part == half and in_window(record, window.n_draws):
                    for k in range(record.n_rows):
                        row = window.rows[number, block, k]
                        n_rows += 1
                        from_mean = row[DRAW_LOG_SCALE, i] - mean
                        mean += from_mean / n_rows
                        squares += from_mean * (row[DRAW_LOG_SCALE, i] - mean)
                        _add_row(row, i, elements, n_rows, work[:, : out.shape[0]])
            place += 1
    spread = squares / max(n_rows, 1)
    last = out.shape[0] - 1
    for k in range(out.shape[0]):
        loss = 0.5 * math.log(work[1, k] / n_rows * work[3, k] / n_rows)
        # Also where the scale is so small that what is nearly centred is not told from what is.
        if at_one(k / last, elements.log_scale[i]) == 1.0:
            loss += spread * spread
        is_neck = k > 0 and spread > WIDEST_LOG_SCALE**2
        out[k] = loss if math.isfinite(loss) and not is_neck else TOO_MUCH
    return n_rows


@kernel
def _add_row(row, i, elements, count, work):
    """Add a draw to means and squares of position and gradient, in the coordinates of each candidate."""
    last, location, log_scale = work.shape[1] - 1, row[DRAW_LOCATION, i], row[DRAW_LOG_SCALE, i]
    standard, gradient = deviate_of(row, i, elements.now, elements.basis)
    for k in range(work.shape[1]):
        candidate = at_one(k / last, elements.log_scale[i])
        there = width(candidate, log_scale)
        x, g = candidate * location + there * standard, gradient / there
        from_x, from_g = x - work[0, k], g - work[2, k]
        work[0, k] += from_x / count
        work[1, k] += from_x * (x - work[0, k])
        work[2, k] += from_g / count
        work[3, k] += from_g * (g - work[2, k])


@kernel
def _choose_all(elements, losses, proposed):
    """Write what each site should take; return whether that is something else than they have."""
    n_sites, moves = 0, False
    for i in range(proposed.shape[0]):
        n_sites = max(n_sites, elements.basis.sites[i] + 1)
        proposed[i] = elements.now[i]
    for site in range(n_sites):
        if not _is_joint(site, elements):
            moves = _choose(site, elements, losses, proposed) or moves
    return moves


@kernel
def _is_joint(site, elements):
    found = False
    for i in range(elements.now.shape[0]):
        found = found or (elements.basis.sites[i] == site and is_joint(elements.basis.joint[i]))
    return found


@kernel
def _choose(site, elements, losses, proposed):
    """Write what one site should take; return whether that is something else than it has."""
    best_way, most, sites = -1, -math.inf, elements.basis.sites
    for way in range(_CENTRED + 1):
        total, are_enough = 0.0, True
        for half in range(2):
            gain, n = _gain(way, site, elements, losses[half], losses[1 - half])
            total += gain
            are_enough = are_enough and gain > min(LEAST_GAIN * n, LEAST_GAIN_OF_SITE)
        if are_enough and total > most:
            best_way, most = way, total
    moves = False
    if best_way >= 0:
        together, last = losses[0], losses.shape[2] - 1
        for i in range(sites.shape[0]):
            if sites[i] == site:
                for k in range(losses.shape[2]):
                    together[i, k] = 0.5 * (losses[0, i, k] + losses[1, i, k])
        common = _common(site, sites, together)
        for i in range(sites.shape[0]):
            if sites[i] == site:
                chosen = _chosen(best_way, together[i], common)
                if chosen != _number_now(elements, i, last):
                    proposed[i] = at_one(chosen / last, elements.log_scale[i])
                    moves = True
    return moves


@kernel
def _number_now(elements, i, last):
    """Return the number of the candidate that is nearest to what an element has."""
    return int(at_scale(elements.now[i], elements.log_scale[i]) * last + 0.5)


@kernel
def _gain(way, site, elements, mine, theirs):
    """Return what a site gains in the eyes of one half by what the other chooses, and how many elements it has."""
    sites = elements.basis.sites
    common, gain, n = _common(site, sites, mine), 0.0, 0
    for i in range(sites.shape[0]):
        if sites[i] == site:
            as_now = _number_now(elements, i, mine.shape[1] - 1)
            gain += theirs[i, as_now] - theirs[i, _chosen(way, mine[i], common)]
            n += 1
    return gain, n


@kernel
def _common(site, sites, losses):
    """Return the number of the candidate that costs a whole site least."""
    best, least = 0, math.inf
    for k in range(losses.shape[1]):
        total = 0.0
        for i in range(sites.shape[0]):
            if sites[i] == site:
                total += losses[i, k]
        if total < least:
            best, least = k, total
    return best


@kernel
def _chosen(way, losses, common):
    """Return the number of the candidate that one element takes."""
    last = losses.shape[0] - 1
    if way == _ALIKE:
        return common
    if way > _ALIKE:
        return 0 if way == _NON_CENTRED else last
    pull = 0.0 if way == _FREE else _PULL if way == _DRAWN else _LARGER_PULL
    best, least = 0, math.inf
    for k in range(losses.shape[0]):
        away = (k - common) / last
        loss = losses[k] + pull * away * away
        if loss < least:
            best, least = k, loss
    return best
