"""How the progress of chains reads: rows and times in, lines and text out; no clock, no output."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

from nutmill.units import time_span

# More chains than this are shown as one line for each phase.
MAX_CHAINS_SHOWN = 16

PHASES = ("warmup", "sampling", "done")


class ChainProgress(NamedTuple):
    """Where one chain is, as the driver reports it."""

    chain: int
    phase: Literal["warmup", "sampling", "done"]
    draw: int  # finished in this phase; a chain that is done keeps the numbers of its sampling
    total: int | None  # draws of this phase; None while an adaptive warmup does not know
    limit: int  # draws of this phase at most
    step_size: float
    n_gradients: int  # of this phase
    divergences: int  # of this phase


class ProgressView(NamedTuple):
    """A chain's newest row, and what its speed is measured from."""

    row: ChainProgress
    phase_start_s: float  # when the phase was not yet seen
    seen_s: float  # when the row came; the end, for a chain that is done


class Line(NamedTuple):
    """One line of what is shown: a chain, or all the chains of a phase."""

    label: str
    phase: str
    draw: int
    total: int | None
    limit: int
    step_size: float
    gradients_per_draw: float  # NaN before the first draw, as the two below
    divergences: int
    draws_per_s: float
    left_s: float  # to the end of the phase; NaN if nobody knows
    left_at_most_s: float  # to the end of the phase, if it takes all the draws that it may


class Whole(NamedTuple):
    """The whole run, in one line."""

    n_chains: int
    n_warming: int
    is_adaptive: bool  # warmup ends when the chains agree
    draw: int  # of sampling, of all chains
    total: int
    elapsed_s: float
    left_s: float  # to the end of sampling; NaN if nobody knows


def with_rows(
    views: Mapping[int, ProgressView], rows: Sequence[ChainProgress], now_s: float, start_s: float
) -> dict[int, ProgressView]:
    """Take in the newest rows of some or all chains; `views` are what was known before, by chain.

    `now_s` and `start_s` are the time now and at the start of the run, in seconds of any clock.
    """
    seen = dict(views)
    for row in rows:
        before = seen.get(row.chain)
        if before is None:
            seen[row.chain] = ProgressView(row, start_s, now_s)
        elif row.phase == "done" and row.draw < before.row.draw:
            # Of what the chain has drawn some is not kept: its speed is what it was.
            spent_s = (before.seen_s - before.phase_start_s) * row.draw / before.row.draw
            seen[row.chain] = ProgressView(row, before.phase_start_s, before.phase_start_s + spent_s)
        elif before.row.phase == row.phase == "done":
            seen[row.chain] = before
        elif before.row.phase == row.phase or row.phase == "done":
            seen[row.chain] = ProgressView(row, before.phase_start_s, now_s)
        else:
            seen[row.chain] = ProgressView(row, before.seen_s, now_s)
    return seen


def lines(views: Mapping[int, ProgressView]) -> list[Line]:
    """Give one line for each chain, or for each phase where there are many chains."""
    if len(views) <= MAX_CHAINS_SHOWN:
        return [chain_line(views[chain]) for chain in sorted(views)]
    by_phase = ([view for view in views.values() if view.row.phase == phase] for phase in PHASES)
    return [_summary_line(members) for members in by_phase if members]


def sentence(line: Line) -> str:
    """Say one line in words, for a log."""
    parts = [
        f"{line.label}: {line.phase}",
        f"{draws_of_total(line)} draws",
        f"step size {figure(line.step_size)}",
        f"{figure(line.gradients_per_draw)} gradients/draw",
        f"{line.divergences} divergence{'s' * (line.divergences != 1)}",
        f"{figure(line.draws_per_s)} draws/s",
    ]
    if line.phase != "done":
        parts.append(f"{left(line)} left")
    return ", ".join(parts)


def whole(views: Mapping[int, ProgressView], elapsed_s: float) -> Whole:
    """Sum up all chains of a run that has lasted so many seconds."""
    warming = [view.row for view in views.values() if view.row.phase == "warmup"]
    others = [view for view in views.values() if view.row.phase != "warmup"]
    times = [chain_line(view).left_s for view in others if view.row.phase == "sampling"]
    return Whole(
        n_chains=len(views),
        n_warming=len(warming),
        is_adaptive=any(row.total is None for row in warming),
        draw=sum(view.row.draw for view in others),
        total=sum(view.row.limit for view in others),
        elapsed_s=elapsed_s,
        left_s=math.nan if warming or any(map(math.isnan, times)) else max(times, default=0.0),
    )


def whole_sentence(run: Whole) -> str:
    """Say in words how the whole run is doing."""
    chains = f"{run.n_chains} chain{'s' * (run.n_chains != 1)}"
    so_far = f"{time_span(run.elapsed_s)} so far"
    if run.n_warming:
        many = chains if run.n_warming == run.n_chains else f"{run.n_warming} of {chains}"
        return f"{many} in warmup{', until they agree' * run.is_adaptive}; {so_far}"
    if run.draw < run.total:
        return f"{chains}: {run.draw} of {run.total} draws; {so_far}, {time_span(run.left_s)} left"
    return f"{chains}: {run.draw} draws in {time_span(run.elapsed_s)}"


def chain_line(view: ProgressView) -> Line:
    """Give the line of one chain."""
    row = view.row
    speed = _ratio(row.draw, view.seen_s - view.phase_start_s)
    return Line(
        label=f"chain {row.chain}",
        phase=row.phase,
        draw=row.draw,
        total=row.total,
        limit=row.limit,
        step_size=row.step_size,
        gradients_per_draw=_ratio(row.n_gradients, row.draw),
        divergences=row.divergences,
        draws_per_s=speed,
        left_s=math.nan if row.total is None else _ratio(row.total - row.draw, speed),
        left_at_most_s=_ratio(row.limit - row.draw, speed),
    )


def _summary_line(views: Sequence[ProgressView]) -> Line:
    """Sum over chains; of the step sizes the median, of times the largest."""
    rows = [view.row for view in views]
    members = [chain_line(view) for view in views]
    draws = sum(row.draw for row in rows)
    totals = [row.total for row in rows if row.total is not None]
    return Line(
        label=f"{len(rows)} chain{'s' * (len(rows) != 1)}",
        phase=rows[0].phase,
        draw=draws,
        total=sum(totals) if len(totals) == len(rows) else None,
        limit=sum(row.limit for row in rows),
        step_size=median(row.step_size for row in rows),
        gradients_per_draw=_ratio(sum(row.n_gradients for row in rows), draws),
        divergences=sum(row.divergences for row in rows),
        draws_per_s=sum(line.draws_per_s for line in members if line.draw),
        left_s=_longest([line.left_s for line in members]),
        left_at_most_s=_longest([line.left_at_most_s for line in members]),
    )


def _longest(times: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, times)) else max(times)


def _ratio(amount: float, per: float) -> float:
    return amount / per if per > 0 else math.nan


def draws_of_total(line: Line) -> str:
    """Write how many draws there are, and of how many, or of how many at most."""
    return f"{line.draw}/{'≤' * (line.total is None)}{line.limit}"


def left(line: Line) -> str:
    """Write how long the phase takes still, or at most."""
    if line.total is not None or math.isnan(line.left_at_most_s):
        return time_span(line.left_s)
    return f"≤{time_span(line.left_at_most_s)}"


def figure(value: float) -> str:
    """Write three significant digits, "-" for what is not known."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
