"""Compares two samplers on one model, or on many: ratios with their standard errors, geometric means."""

import math
from collections.abc import Callable, Sequence
from statistics import mean, variance
from typing import NamedTuple

Metric = Callable[[dict], float]


class Ratio(NamedTuple):
    """A ratio of two positive quantities with the standard error of its logarithm.

    The error is NaN where one run each was all there was.
    """

    value: float
    log_error: float

    def surely_below(self, bound: float) -> bool:
        """Tell whether the ratio lies below `bound` by more than two standard errors (if they are known)."""
        margin = 0.0 if math.isnan(self.log_error) else 2.0 * self.log_error
        return math.log(self.value) + margin < math.log(bound)


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Divide the geometric means of two samples of positive numbers.

    Raises
    ------
    ValueError
        If a sample is empty or holds a number that is not positive.
    """
    above, below = _logs(numerators), _logs(denominators)
    log_error = math.hypot(_error_of_mean(above), _error_of_mean(below))
    return Ratio(math.exp(mean(above) - mean(below)), log_error)


def geometric_mean(ratios: Sequence[Ratio]) -> Ratio:
    """Average ratios of different models, which are independent; the spread between models is not noise.

    Raises
    ------
    ValueError
        If there are no ratios.
    """
    value = math.exp(mean(_logs([each.value for each in ratios])))
    return Ratio(value, math.hypot(*(each.log_error for each in ratios)) / len(ratios))


def select(rows: Sequence[dict], metric: Metric, **fields: str) -> list[float]:
    """Evaluate `metric` on the measurements of all rows whose fields are as given; failed rows have none."""
    return [
        metric(row["measurement"])
        for row in rows
        if "measurement" in row and all(row[name] == value for name, value in fields.items())
    ]


def _logs(values: Sequence[float]) -> list[float]:
    if not values:
        raise ValueError("there are no measurements to compare; run the suite for both samplers")
    if min(values) <= 0.0:
        raise ValueError(f"only positive quantities have ratios, but one is {min(values)}")
    return [math.log(value) for value in values]


def _error_of_mean(values: Sequence[float]) -> float:
    return math.sqrt(variance(values) / len(values)) if len(values) > 1 else math.nan
