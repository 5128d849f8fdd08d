"""What all runs of one sampler say: medians, and how long it takes to an effective sample size."""

import math
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from statistics import median
from typing import NamedTuple

from nutmill.comparison.quality import is_clean
from nutmill.comparison.rounds import COLD, WARM

WANTED_ESS = 400


class Agreement(NamedTuple):
    """How far posterior means lie from those of another sampler, in standard errors of both."""

    reference: str
    furthest: float
    label: str
    rms: float


class Summary(NamedTuple):
    """The runs of one sampler; times are medians in seconds, NaN where they were not measured."""

    sampler: str
    n_runs: int  # that have ended with draws
    n_clean: int  # those of them that are clean (`quality.is_clean`)
    failure: str | None  # why there are no draws, or no more of them
    import_s: float
    compile_cold_s: float
    compile_warm_s: float
    sample_s: float
    sample_cpu_s: float  # of all threads and processes
    # Leapfrog steps of all chains; NaN where the sampler does not tell.
    gradients: float
    warmup_gradients: float
    # Over the scalars of the free parameters.
    ess_bulk_min: float
    ess_bulk_median: float
    ess_tail_min: float
    ess_tail_median: float
    rhat_max: float
    # Of the least bulk ESS, then of the least tail ESS; the warmup is included, but for that of draws alone.
    ess_per_1000_gradients: float
    ess_per_1000_draw_gradients: float
    ess_per_s: float
    ess_per_cpu_s: float
    tail_ess_per_1000_gradients: float
    tail_ess_per_cpu_s: float
    # From the start of the process until every parameter has 400 effective draws, in bulk and tails (`seconds_to_ess`).
    to_ess_cold_s: float
    to_ess_warm_s: float
    sample_to_ess_s: float  # of `to_ess_cold_s`, what is sampling
    peak_rss_mb: float
    divergences: int  # of all runs
    spread: float  # the largest time of sampling over the smallest
    agreement: Agreement | None
    blas: tuple[str, ...]

    @property
    def cores_busy(self) -> float:
        """How many cores were busy while it sampled."""
        return _rate(self.sample_cpu_s, self.sample_s)


def summarize(rows: Sequence[dict], samplers: Iterable[str]) -> list[Summary]:
    """Summarize the rows of `rounds.measure`, for each sampler in the given order."""
    reference = _reference(rows, samplers)
    return [_summary(name, [row for row in rows if row["sampler"] == name], reference) for name in samplers]


def seconds_to_ess(measured: dict, wanted: float = WANTED_ESS) -> float:
    """Say when every parameter has so many effective draws, in seconds since the process was started.

    The smaller of bulk and tail ESS counts. What was measured until the first draw counts as it is. Effective draws are
    taken to come evenly after the warmup, whose share of the sampling is that of its gradients, or of its draws where
    the sampler does not tell gradients.
    """
    return seconds_to_sampling(measured) + sampling_seconds_to_ess(measured, wanted)


def seconds_to_sampling(measured: dict) -> float:
    """Say when sampling begins, in seconds since the process was started: after imports, the model and its compile."""
    return measured["built_s"] + measured["imported"]["wall"] + measured["compiled"]["wall"]


def sampling_seconds_to_ess(measured: dict, wanted: float = WANTED_ESS) -> float:
    """Say how much of `seconds_to_ess` is sampling."""
    warmup = warmup_share(measured)
    of_draws = (1.0 - warmup) * wanted / min(_ess(measured), _tail_ess(measured))
    return measured["sampled"]["wall"] * (warmup + of_draws)


def gradients_of(measured: dict) -> float:
    """Return the gradient evaluations of a run, those of its warmup included; NaN where the sampler does not tell."""
    return _known(measured["warmup_gradients"]) + _known(measured["draw_gradients"])


def warmup_share(measured: dict) -> float:
    """Return the share of the sampling that went into warmup."""
    warmup, draws = measured["warmup_gradients"], measured["draw_gradients"]
    if warmup is None:
        warmup, draws = measured["warmup_draws"], measured["size"]["draws"]
    return warmup / (warmup + draws)


def _summary(name: str, rows: Sequence[dict], reference: tuple[str, dict] | None) -> Summary:
    good = [row["measurement"] for row in rows if "measurement" in row]
    by_caches = {state: [row["measurement"] for row in rows if row["caches"] == state and "measurement" in row]
                 for state in (COLD, WARM)}  # fmt: skip
    sampled = [each["sampled"]["wall"] for each in good]
    return Summary(
        sampler=name,
        n_runs=len(good),
        n_clean=sum(is_clean(each["quality"], each["divergences"]) for each in good),
        failure=next((row["failure"] for row in rows if "failure" in row), None),
        import_s=_median(good, lambda each: each["imported"]["wall"]),
        compile_cold_s=_median(by_caches[COLD], lambda each: each["compiled"]["wall"]),
        compile_warm_s=_median(by_caches[WARM], lambda each: each["compiled"]["wall"]),
        sample_s=_median(good, lambda each: each["sampled"]["wall"]),
        sample_cpu_s=_median(good, lambda each: each["sampled"]["cpu"]),
        gradients=_median(good, gradients_of),
        warmup_gradients=_median(good, lambda each: _known(each["warmup_gradients"])),
        **{kind: _median([each["quality"] for each in good], itemgetter(kind)) for kind in _QUALITIES},
        ess_per_1000_gradients=_median(good, lambda each: 1000.0 * _ess(each) / gradients_of(each)),
        ess_per_1000_draw_gradients=_median(good, lambda each: 1000.0 * _ess(each) / _known(each["draw_gradients"])),
        ess_per_s=_median(good, lambda each: _rate(_ess(each), each["sampled"]["wall"])),
        ess_per_cpu_s=_median(good, lambda each: _rate(_ess(each), each["sampled"]["cpu"])),
        tail_ess_per_1000_gradients=_median(good, lambda each: 1000.0 * _tail_ess(each) / gradients_of(each)),
        tail_ess_per_cpu_s=_median(good, lambda each: _rate(_tail_ess(each), each["sampled"]["cpu"])),
        to_ess_cold_s=_median(by_caches[COLD], seconds_to_ess),
        to_ess_warm_s=_median(by_caches[WARM], seconds_to_ess),
        sample_to_ess_s=_median(by_caches[COLD], sampling_seconds_to_ess),
        peak_rss_mb=_median(good, lambda each: each["peak_rss_mb"]),
        divergences=sum(each["divergences"] for each in good),
        spread=_rate(max(sampled, default=math.nan), min(sampled, default=math.nan)),
        agreement=_agreement(good, reference) if good and reference and reference[0] != name else None,
        blas=tuple(good[-1]["blas"]) if good else (),
    )


_QUALITIES = ("ess_bulk_min", "ess_bulk_median", "ess_tail_min", "ess_tail_median", "rhat_max")


def _median(measured: Sequence[dict], read: Callable[[dict], float]) -> float:
    return median(read(each) for each in measured) if measured else math.nan


def _known(count: int | None) -> float:
    return math.nan if count is None else float(count)


def _ess(measured: dict) -> float:
    return measured["quality"]["ess_bulk_min"]


def _tail_ess(measured: dict) -> float:
    return measured["quality"]["ess_tail_min"]


def _rate(amount: float, seconds: float) -> float:
    """Divide; NaN where the clock has seen nothing pass."""
    return amount / seconds if seconds > 0.0 else math.nan


def _reference(rows: Sequence[dict], samplers: Iterable[str]) -> tuple[str, dict] | None:
    """Take the means of the first sampler that has any."""
    for name in samplers:
        for row in rows:
            if row["sampler"] == name and "measurement" in row:
                return name, row["measurement"]["means"]
    return None


def _agreement(good: Sequence[dict], reference: tuple[str, dict]) -> Agreement | None:
    """Compare the first run's means with those of the reference; scalars that only one of them has are left out."""
    name, known = reference
    means = good[0]["means"]
    z = {
        label: (means[label][0] - known[label][0]) / math.hypot(means[label][1], known[label][1])
        for label in means
        if label in known
    }
    if not z:
        return None
    furthest = max(z, key=lambda label: abs(z[label]))
    rms = math.sqrt(sum(value**2 for value in z.values()) / len(z))
    return Agreement(name, z[furthest], furthest, rms)
