"""What every sampler is asked for, what it hands back, and how long JAX compiles within a call that also samples."""

import time
from typing import TYPE_CHECKING, NamedTuple

from nutmill.comparison.resources import Spent

if TYPE_CHECKING:
    import arviz as az
    import xarray as xr


class Size(NamedTuple):
    """How much is drawn; `tune` is how many draws the warmup of a chain takes, None leaves it to the sampler."""

    draws: int
    chains: int
    cores: int
    seed: int
    tune: int | None = None

    @property
    def tuning(self) -> dict[str, int]:
        """The argument `tune` of samplers that have a default of their own for it."""
        return {} if self.tune is None else {"tune": self.tune}


class SamplerRun(NamedTuple):
    """One run of one sampler.

    `trace` has the groups posterior and sample_stats, with `n_steps` and `diverging`, and warmup_sample_stats if the
    sampler keeps its warmup. `peak_rss_mb` was read when sampling had ended, before any diagnostics. A sampler that
    compiles inside its sampling call and does not tell how long has spent nothing on `compiled`. `from_cache` says that
    nothing was compiled; None: the sampler does not tell.
    """

    imported: Spent
    compiled: Spent
    sampled: Spent
    peak_rss_mb: float
    trace: "az.InferenceData | xr.DataTree"
    from_cache: bool | None = None


def parted(spent: Spent, compiling_s: float) -> tuple[Spent, Spent]:
    """Part what a call has spent that compiled for some seconds of wall time, on one core, and sampled for the rest."""
    compiling_s = min(compiling_s, spent.wall)
    # Where others hold the machine, a second on the wall is less than one of a core.
    compiled = Spent(compiling_s, compiling_s * min(spent.cpu / spent.wall, 1.0))
    return compiled, spent.minus(compiled)


class CompileClock:
    """Adds up the time in which JAX traced, lowered or compiled something; functions within functions count once."""

    def __init__(self):
        self._spans: list[tuple[float, float]] = []

    def note(self, event: str, seconds: float, **_) -> None:
        """Take in an event of `jax.monitoring` that has just ended."""
        if event.startswith("/jax/core/compile/"):
            end = time.monotonic()
            self._spans.append((end - seconds, end))

    def seconds(self) -> float:
        """Return the length of the union of all spans."""
        total, reached = 0.0, float("-inf")
        for begin, end in sorted(self._spans):
            total += max(end - max(begin, reached), 0.0)
            reached = max(reached, end)
        return total


def started_clock() -> CompileClock:
    """Give a clock that runs from now until the process ends."""
    from jax import monitoring

    clock = CompileClock()
    monitoring.register_event_duration_secs_listener(clock.note)
    return clock
