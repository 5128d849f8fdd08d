"""What every sampler hands back: its trace and what it cost, phase by phase."""

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.resources import Spent

if TYPE_CHECKING:
    import arviz as az
    import xarray as xr


class Run(NamedTuple):
    """One run of one sampler.

    `trace` has the groups posterior, sample_stats (with `n_steps` and `diverging`) and warmup_sample_stats.
    `peak_rss_mb` was read when sampling had ended, before any diagnostics. A sampler that compiles inside its
    sampling call has spent nothing on `compiled`. `from_cache` says that nothing was compiled; None: the sampler does
    not tell.
    """

    imported: Spent
    compiled: Spent
    sampled: Spent
    peak_rss_mb: float
    trace: "az.InferenceData | xr.DataTree"
    from_cache: bool | None = None
