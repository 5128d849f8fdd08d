"""Renders times per gradient as Markdown, and judges the kernel by them: overhead, threads, BLAS."""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.figures import BASELINE, OURS
from benchmarks.tables import head, line

COLUMNS = ("gradient", "gradient_two_threads", "sampling", "sampling_two_cores")

# What a leapfrog step may add: microseconds to a small gradient, a share to one of more than `LARGE_US`.
SMALL_OVERHEAD_US, LARGE_OVERHEAD, LARGE_US = 0.2, 0.05, 10.0
# How much more two cores do than one; how much faster than the baseline with one BLAS thread, with its own.
TWO_CORES, ONE_BLAS_THREAD, BLAS_DEFAULT = 1.7, 1.0, 2.0


class Judgement(NamedTuple):
    """A quantity of ours beside the baseline's, and the goal for ours; NaN is what was not measured."""

    quantity: str
    ours: float
    theirs: float
    goal: str
    met: bool


class Times:
    """The times in `rows`, medians over the rounds, in microseconds per gradient."""

    def __init__(self, rows: Sequence[dict]):
        self.rows = [row for row in rows if "measurement" in row]

    def of(self, cell: tuple, column: str, clock: str) -> float:
        """Give the `wall` or `cpu` time of a cell (model, program, BLAS threads), NaN where there is none."""
        times = [
            row["measurement"][column][clock]
            for row in self.rows
            if (row["model"], row["program"], row["blas_threads"]) == cell and column in row["measurement"]
        ]
        return median(times) if times else math.nan


def times_section(rows: Sequence[dict]) -> str:
    """Render every time, wall and CPU, of every model, program and setting of BLAS threads."""
    times = Times(rows)
    note = "Microseconds per gradient, wall / CPU, medians of the rounds. Two share one wall: half is perfect."
    lines = ["## Times", "", note, ""]
    lines += head(["model", "program", "BLAS threads", *(column.replace("_", " ") for column in COLUMNS)])
    for cell in dict.fromkeys((row["model"], row["program"], row["blas_threads"]) for row in rows):
        pairs = [[show(times.of(cell, column, clock)) for clock in ("wall", "cpu")] for column in COLUMNS]
        model, program, blas_threads = cell
        lines.append(line([model, program, str(blas_threads or "default"), *(" / ".join(pair) for pair in pairs)]))
    return "\n".join(lines)


def goals_section(rows: Sequence[dict], models: Sequence[str]) -> str:
    """Render for every model what the kernel adds to a gradient, what a second core brings, and the BLAS."""
    times = Times(rows)
    lines = ["## Goals", ""]
    lines += head(["model", "quantity", OURS, BASELINE, "goal", "verdict"])
    for model in models:
        for each in (overhead(times, model), two_cores(times, model), *blas(times, model)):
            numbers = [show(each.ours), show(each.theirs)]
            lines.append(line([model, each.quantity, *numbers, each.goal, verdict(each)]))
    return "\n".join(lines)


def ratios_section(rows: Sequence[dict]) -> str:
    """Render the CPU time of bare gradients, ours beside the baseline's, and the geometric mean of the ratios."""
    times, ratios = Times(rows), []
    lines = ["## Bare gradients", "", "Microseconds of CPU, one BLAS thread, medians of the rounds.", ""]
    lines += head(["model", OURS, BASELINE, "times faster"])
    for model in dict.fromkeys(row["model"] for row in rows):
        ours, theirs = (times.of((model, program, None), "gradient", "cpu") for program in (OURS, BASELINE))
        ratios.append(theirs / ours)
        lines.append(line([model, show(ours), show(theirs), show(ratios[-1])]))
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    mean = math.exp(sum(map(math.log, known)) / len(known)) if known else math.nan
    lines.append(line(["geometric mean", "", "", show(mean)]))
    return "\n".join(lines)


def verdict(judgement: Judgement) -> str:
    """Say whether a goal is met; sampling cannot cost less than its gradients: that would be noise."""
    if math.isnan(judgement.ours):
        return "not measured"
    if judgement.ours < 0.0:
        return "**too noisy to tell**"
    return "met" if judgement.met else "**missed**"


def overhead(times: Times, model: str) -> Judgement:
    """Judge the CPU time that sampling adds to the bare gradient, both with one BLAS thread.

    A bare gradient has one always, and we set one by ourselves; the baseline must be told, where it matters.
    """
    by_hand = (model, BASELINE, 1)
    told = not math.isnan(times.of(by_hand, "sampling", "cpu"))
    cells = ((model, OURS, None), by_hand if told else (model, BASELINE, None))
    bare, sampling = ([times.of(cell, column, "cpu") for cell in cells] for column in ("gradient", "sampling"))
    if bare[0] > LARGE_US:
        ours, theirs = (whole / part - 1.0 for whole, part in zip(sampling, bare, strict=True))
        return Judgement("overhead, share", ours, theirs, f"< {LARGE_OVERHEAD}", ours < LARGE_OVERHEAD)
    ours, theirs = (whole - part for whole, part in zip(sampling, bare, strict=True))
    return Judgement("overhead, us", ours, theirs, f"< {SMALL_OVERHEAD_US}", ours < SMALL_OVERHEAD_US)


def two_cores(times: Times, model: str) -> Judgement:
    """Judge how many times more two chains do on two cores than on one."""
    ours, theirs = (
        times.of((model, program, None), "sampling", "wall")
        / times.of((model, program, None), "sampling_two_cores", "wall")
        for program in (OURS, BASELINE)
    )
    return Judgement("work of two cores", ours, theirs, f">= {TWO_CORES}", ours >= TWO_CORES)


def blas(times: Times, model: str) -> list[Judgement]:
    """Judge our speed at defaults against the baseline's with one BLAS thread and with its defaults."""
    ours = times.of((model, OURS, None), "sampling_two_cores", "wall")
    judgements = []
    for threads, label, goal in ((1, "1 BLAS thread", ONE_BLAS_THREAD), (None, "its defaults", BLAS_DEFAULT)):
        theirs = times.of((model, BASELINE, threads), "sampling_two_cores", "wall")
        if not math.isnan(times.of((model, BASELINE, 1), "gradient", "wall")):
            faster = theirs / ours
            judgements.append(
                Judgement(f"speed against {BASELINE}, {label}", faster, 1.0, f">= {goal}", faster >= goal)
            )
    return judgements


def show(number: float) -> str:
    """Write a number with three digits, or that it was not measured."""
    return "not measured" if math.isnan(number) else f"{number:.3g}"
