"""Goals of a benchmark: a number each, what it must be, and the table that says which are met."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.tables import head, line


class Goal(NamedTuple):
    """A figure to reach: what is measured, the value, and the bound that it must lie below or reach."""

    title: str
    value: float
    bound: float
    is_limit: bool

    @property
    def met(self) -> bool:
        """Whether the value lies below the limit, or is at least as large as asked; NaN never is."""
        return self.value < self.bound if self.is_limit else self.value >= self.bound


def goals_section(goals: Sequence[Goal]) -> str:
    """Render every goal with what was measured."""
    lines = ["## Goals", "", *head(["figure", "measured", "goal", "verdict"])]
    for goal in goals:
        bound = f"{'<' if goal.is_limit else '>='} {goal.bound:g}"
        verdict = "not measured" if math.isnan(goal.value) else "met" if goal.met else "**missed**"
        lines.append(line([goal.title, number(goal.value), bound, verdict]))
    return "\n".join(lines)


def number(value: float) -> str:
    """Write a number with three digits, NaN as what it means."""
    return "not measured" if math.isnan(value) else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
