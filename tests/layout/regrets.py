"""How far from the best the search ends on simulated machines, and how many measurements it needs.

``PYTHONPATH=tests python -m layout.regrets`` prints the table; ``--repeats 40`` makes its figures surer.
"""

import argparse
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from layout.simulated import CORES, KINDS, Machine, seconds_per_unit

from nutmill.layout.candidates import Job, candidates
from nutmill.layout.choose import Choice, choose
from nutmill.layout.pools import Layout
from nutmill.layout.search import Found, search

CHAINS = (4, 16)
BUDGET_S = 20.0


class Outcome(NamedTuple):
    """One search on one simulated machine."""

    kind: str
    n_cores: int
    chains: int
    noise: float
    regret: float  # cost of the chosen layout over that of the best, less 1; true times
    against_rules: float  # the same against the better of (all chains, one BLAS thread) and (one chain, all threads)
    share: float  # measurements over those of an exhaustive sweep that gives every layout as many as the chosen one
    n_measured: int
    n_layouts: int
    spent_s: float
    best: Layout


Chooser = Callable[[Found, Job], Layout]


def chosen(found: Found, job: Job) -> Layout:
    choice: Choice = choose(found.rounds, job, busy=found.busy)
    return choice.best


def outcome(
    kind: str,
    n_cores: int,
    chains: int,
    noise: float,
    seed: int,
    chooser: Chooser = chosen,
    *,
    layouts: list[Layout] | None = None,
    **machine,
) -> Outcome:
    def seconds(layout):
        return seconds_per_unit(KINDS[kind], n_cores, layout)

    job = Job(chains, n_cores)
    layouts = layouts or candidates(SimpleNamespace(n_cores=n_cores), chains)
    simulated = Machine(seconds, noise=noise, seed=seed, **machine)
    found = search(simulated.measure, layouts, job, budget_s=BUDGET_S, clock=simulated.clock, seed=seed)
    best = chooser(found, job)
    true = {layout: job.cost(layout, seconds(layout)) for layout in layouts if not job.is_oversubscribed(layout)}
    rules = min(job.cost(rule, seconds(rule)) for rule in (Layout(min(chains, n_cores), 1), Layout(1, n_cores)))
    repeats = sum(measurement.layout == best for measurement in found.measurements)
    return Outcome(
        kind=kind,
        n_cores=n_cores,
        chains=chains,
        noise=noise,
        regret=true[best] / min(true.values()) - 1.0,
        against_rules=true[best] / rules - 1.0,
        share=len(found.measurements) / (repeats * len(layouts)),
        n_measured=len(found.measurements),
        n_layouts=len(layouts),
        spent_s=simulated.now_s,
        best=best,
    )


def outcomes(repeats: int, noises=(0.05, 0.15), cores=CORES, **options) -> list[Outcome]:
    points = itertools.product(KINDS, cores, CHAINS, noises, range(repeats))
    return [outcome(*point, **options) for point in points]


def percent(values, quantile: float) -> str:
    return f"{100.0 * np.quantile(values, quantile):6.1f}"


def line(group: list[Outcome]) -> str:
    first = group[0]
    names = [f"{o.best.chains_at_once} x {o.best.blas_threads} {o.best.mode}" for o in group]
    columns = [
        f"{first.kind:12s} {first.n_cores:5d} {first.chains:6d} {first.noise:5.2f}",
        f"{first.n_layouts:7d} {np.mean([o.n_measured for o in group]):8.0f} {np.mean([o.share for o in group]):5.2f}",
        f"{np.mean([o.spent_s for o in group]):5.1f}",
        f"{percent([o.regret for o in group], 0.5)} {percent([o.regret for o in group], 0.95)}",
        f"{percent([o.against_rules for o in group], 0.95)}",
        max(set(names), key=names.count),
    ]
    return " | ".join(columns)


def summary(every: list[Outcome]) -> str:
    regrets = [o.regret for o in every]
    rules = percent([o.against_rules for o in every], 0.99)
    shares = [np.mean([o.share for o in every if o.n_cores == cores]) for cores in CORES]
    return (
        f"{len(every)} searches: regret median {percent(regrets, 0.5)} %, mean {100.0 * np.mean(regrets):.1f} %, "
        f"p95 {percent(regrets, 0.95)} %, worst {percent(regrets, 1.0)} %; against fixed rules p99 {rules} %; "
        f"share of exhaustive measurements on {CORES} cores {', '.join(f'{share:.2f}' for share in shares)}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    every = outcomes(parser.parse_args().repeats)
    print(
        "workload     cores chains noise | layouts measured share | spent s | regret % median, p95 | vs rules | chosen"
    )
    for _, group in itertools.groupby(every, key=lambda o: (o.kind, o.n_cores, o.chains, o.noise)):
        print(line(list(group)))
    print(summary(every))


if __name__ == "__main__":
    main()
