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

from nutmill.layout.layout import Layout
from nutmill.layout.search.candidates import Job, candidates
from nutmill.layout.search.choose import Choice, choose
from nutmill.layout.search.search import Searched, search

CHAINS = (4, 16)
BUDGET_S = 20.0


class Scenario(NamedTuple):
    """A simulated machine with a job."""

    kind: str
    n_cores: int
    chains: int
    noise: float
    seed: int

    @property
    def job(self) -> Job:
        return Job(self.chains, self.n_cores)

    def seconds(self, layout: Layout) -> float:
        return seconds_per_unit(KINDS[self.kind], self.n_cores, layout)

    def cost(self, layout: Layout) -> float:
        return self.job.cost(layout, self.seconds(layout))


class Searched(NamedTuple):
    """What a search found on it."""

    scenario: Scenario
    layouts: list[Layout]
    found: Searched
    spent_s: float


class Outcome(NamedTuple):
    """How good the layout is that was chosen from it."""

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


Chooser = Callable[[Searched, Job], Layout]


def chosen(found: Searched, job: Job) -> Layout:
    choice: Choice = choose(found.rounds, job, busy=found.busy)
    return choice.best


def searched(scenario: Scenario, layouts: list[Layout] | None = None, **machine) -> Searched:
    layouts = layouts or candidates(SimpleNamespace(n_cores=scenario.n_cores), scenario.chains)
    simulated = Machine(scenario.seconds, noise=scenario.noise, seed=scenario.seed, **machine)
    options = {"budget_s": BUDGET_S, "clock": simulated.clock, "seed": scenario.seed}
    return Searched(scenario, layouts, search(simulated.measure, layouts, scenario.job, **options), simulated.now_s)


def searches(repeats: int) -> list[Searched]:
    points = itertools.product(KINDS, CORES, CHAINS, (0.05, 0.15), range(repeats))
    return [searched(Scenario(*point)) for point in points]


def outcome(one: Searched, chooser: Chooser = chosen) -> Outcome:
    scenario, n_measured = one.scenario, len(one.found.measurements)
    best = chooser(one.found, scenario.job)
    least = min(scenario.cost(layout) for layout in one.layouts if not scenario.job.is_oversubscribed(layout))
    all_chains, all_threads = Layout(min(scenario.chains, scenario.n_cores)), Layout(1, scenario.n_cores)
    repeats = sum(measurement.layout == best for measurement in one.found.measurements)
    return Outcome(
        *scenario[:4],
        regret=scenario.cost(best) / least - 1.0,
        against_rules=scenario.cost(best) / min(scenario.cost(all_chains), scenario.cost(all_threads)) - 1.0,
        share=n_measured / (max(1, repeats) * len(one.layouts)),
        n_measured=n_measured,
        n_layouts=len(one.layouts),
        spent_s=one.spent_s,
        best=best,
    )


def percent(values, quantile: float) -> str:
    return f"{100.0 * np.quantile(values, quantile):6.1f}"


def line(group: list[Outcome]) -> str:
    first = group[0]
    names = [f"{o.best.chains_at_once} x {o.best.blas_threads}" for o in group]
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
    every = [outcome(one) for one in searches(parser.parse_args().repeats)]
    print(
        "workload     cores chains noise | layouts measured share | spent s | regret % median, p95 | vs rules | chosen"
    )
    for _, group in itertools.groupby(every, key=lambda o: (o.kind, o.n_cores, o.chains, o.noise)):
        print(line(list(group)))
    print(summary(every))


if __name__ == "__main__":
    main()
