"""Measures one cell of the suite, one model by one sampler with one seed, in a process of its own."""

import sys

from benchmarks import models
from benchmarks.distances import distances
from nutmill.comparison import cell
from nutmill.comparison.samplers.contract import SamplerRun
from nutmill.results.trace import group


def _judge(name: str, run: SamplerRun) -> dict:
    """Compare the moments of the draws with those of reference draws, where there are any."""
    known = distances(group(run.trace, "posterior"), models.reference(name) or {})
    return {"distances": {scalar: distance._asdict() for scalar, distance in known.items()}}


if __name__ == "__main__":
    cell.main(*sys.argv[1:], load=models.build, judge=_judge)
