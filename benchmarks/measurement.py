"""What one run of one sampler on one model is reduced to: plain numbers that go into the JSON file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import xarray as xr

from benchmarks.diagnostics import Distance, distances
from benchmarks.models.posteriordb import Reference
from nutmill.comparison.quality import Quality, quality
from nutmill.comparison.resources import Spent
from nutmill.comparison.samplers.run import Run

if TYPE_CHECKING:
    import pymc as pm


@dataclass(frozen=True)
class Measurement:
    """Cost and quality of one run.

    Gradients are leapfrog steps over all chains, without the few evaluations of the search for a first step
    size, which no sampler reports. `quality` is over the free parameters as the user sees them, `distances`
    are those of posterior moments from the reference draws (empty where there are none).
    """

    imported: Spent
    compiled: Spent
    sampled: Spent
    peak_rss_mb: float
    warmup_gradients: int
    draw_gradients: int
    divergences: int
    quality: Quality
    distances: dict[str, Distance]

    def to_json(self) -> dict:
        """Return nested dictionaries of numbers, every field by its name."""
        plain = dict(vars(self))
        for name in ("imported", "compiled", "sampled", "quality"):
            plain[name] = plain[name]._asdict()
        return plain | {"distances": {name: value._asdict() for name, value in self.distances.items()}}


def measure(model: "pm.Model", run: Run, references: dict[str, Reference] | None) -> Measurement:
    """Reduce `run` on `model`, and compare it with `references` where there are any."""
    posterior = _dataset(run.trace["posterior"])
    stats, warmup = run.trace["sample_stats"], run.trace["warmup_sample_stats"]
    return Measurement(
        imported=run.imported,
        compiled=run.compiled,
        sampled=run.sampled,
        peak_rss_mb=run.peak_rss_mb,
        warmup_gradients=int(warmup["n_steps"].sum()),
        draw_gradients=int(stats["n_steps"].sum()),
        divergences=int(stats["diverging"].sum()),
        quality=quality(posterior[[variable.name for variable in model.free_RVs]]),
        distances=distances(posterior, references or {}),
    )


def _dataset(group: xr.Dataset | xr.DataTree) -> xr.Dataset:
    """Return the variables of one group; ArviZ 0.23 holds a data set there, ArviZ 1 a tree."""
    return xr.Dataset({name: group[name] for name in group.data_vars})
