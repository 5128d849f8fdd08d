"""Summaries of samplers as tables of text, and in sentences."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nutmill.comparison.samplers import RELEASES, SAMPLERS
from nutmill.comparison.summary import WANTED_ESS, Summary

_FAR = 4.0
# Numbers are times in seconds and counts: less than this is nothing.
_NOTHING = 5e-4


class Table(NamedTuple):
    """A title, the heads of the columns, and a row of cells for each sampler."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


Column = tuple[str, Callable[[Summary], str]]

_COST: tuple[Column, ...] = (
    (f"to {WANTED_ESS} ESS, model new (s)", lambda each: number(each.to_ess_cold_s)),
    (f"to {WANTED_ESS} ESS, model known (s)", lambda each: number(each.to_ess_warm_s)),
    ("import (s)", lambda each: number(each.import_s)),
    ("compile, new (s)", lambda each: number(each.compile_cold_s)),
    ("compile, known (s)", lambda each: number(each.compile_warm_s)),
    ("sample (s)", lambda each: number(each.sample_s)),
)

_DRAWS: tuple[Column, ...] = (
    ("bulk ESS per 1000 gradients", lambda each: number(each.ess_per_1000_gradients)),
    ("tail ESS per 1000 gradients", lambda each: number(each.tail_ess_per_1000_gradients)),
    ("bulk ESS per CPU s", lambda each: number(each.ess_per_cpu_s)),
    ("tail ESS per CPU s", lambda each: number(each.tail_ess_per_cpu_s)),
    ("gradients", lambda each: number(each.gradients)),
    ("of them in warmup", lambda each: number(each.warmup_gradients)),
)

_QUALITY: tuple[Column, ...] = (
    ("bulk ESS, least", lambda each: number(each.ess_bulk_min)),
    ("bulk ESS, median", lambda each: number(each.ess_bulk_median)),
    ("tail ESS, least", lambda each: number(each.ess_tail_min)),
    ("R-hat, largest", lambda each: f"{each.rhat_max:.3f}"),
    ("diverged", lambda each: str(each.divergences)),
    ("clean runs", lambda each: f"{each.n_clean} of {each.n_runs}"),
    ("mean off (standard errors)", lambda each: _off_by(each)),
)

_CORES: tuple[Column, ...] = (
    ("sample (CPU s)", lambda each: number(each.sample_cpu_s)),
    ("cores busy meanwhile", lambda each: number(each.cores_busy)),
    ("slowest run / fastest", lambda each: f"{each.spread:.2f}"),
    ("memory (MB)", lambda each: number(each.peak_rss_mb)),
    ("BLAS in the process, after sampling", lambda each: "; ".join(each.blas)),
)


def tables_of(summaries: Sequence[Summary]) -> list[Table]:
    """Put the numbers of all samplers that have draws side by side; the fastest come first."""
    ranked = _ranked(summaries)
    kinds = (
        ("The way to the draws", _COST),
        ("What the draws cost", _DRAWS),
        ("What the draws are worth", _QUALITY),
        ("Cores, memory and BLAS", _CORES),
    )
    return [
        Table(
            title,
            ("sampler", *(head for head, _ in columns)),
            [(each.sampler, *(read(each) for _, read in columns)) for each in ranked],
        )
        for title, columns in kinds
    ]


def sentences_of(summaries: Sequence[Summary], notes: Sequence[str], missing: Mapping[str, Sequence[str]]) -> list[str]:
    """Say who was first, what disagrees, what failed, what could be installed, and at last what draws cost.

    `notes` are sentences on what may have disturbed the measurement, `missing` the samplers that were not run, with the
    packages that they need.
    """
    said = [*_first(_ranked(summaries)), *_disagreements(summaries), *notes]
    said += [f"{each.sampler} gave up: {each.failure}" for each in summaries if each.failure]
    said += [f"{name} is not installed: {install(packages)}" for name, packages in missing.items()]
    return [*said, *_bottom_line(_ranked(summaries))]


def install(packages: Sequence[str]) -> str:
    """Write the command that installs what a sampler needs."""
    return shlex.join(["pip", "install", *(RELEASES.get(package, package) for package in packages)])


def number(value: float) -> str:
    """Write a number with three digits; a dash where nothing was measured."""
    if math.isnan(value):
        return "-"
    if abs(value) < _NOTHING:
        return "0"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def aligned(table: Table) -> str:
    """Write a table in lines, its columns aligned."""
    lines = [table.heads, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.heads))]
    padded = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([table.title, *padded])


def _off_by(summary: Summary) -> str:
    agreement = summary.agreement
    return "is the reference" if agreement is None else f"{agreement.furthest:+.1f} ({agreement.label})"


def _ranked(summaries: Sequence[Summary]) -> list[Summary]:
    """Those that have draws, the fastest first."""
    return sorted((each for each in summaries if each.n_runs), key=lambda each: each.to_ess_cold_s)


def _first(ranked: Sequence[Summary]) -> list[str]:
    if len(ranked) < 2:
        return []
    first, second = ranked[:2]
    return [
        f"{SAMPLERS[first.sampler].title} has {WANTED_ESS} effective draws of every parameter of a new model first, "
        f"{number(first.to_ess_cold_s)} s after its start; {SAMPLERS[second.sampler].title} follows after "
        f"{number(second.to_ess_cold_s)} s."
    ]


def _bottom_line(ranked: Sequence[Summary]) -> list[str]:
    """Say how many effective draws a CPU second of nutmill gives, and of the others."""
    own = next((each for each in ranked if each.sampler == "nutmill"), None)
    others = [each for each in ranked if each.sampler != "nutmill" and each.ess_per_cpu_s > 0.0]
    if own is None or not others or not own.ess_per_cpu_s > 0.0:
        return []
    times = sorted((own.ess_per_cpu_s / each.ess_per_cpu_s, each.sampler) for each in others)
    listed = ", ".join(f"{number(ratio)} times those of {name}" for ratio, name in times)
    return [f"nutmill's effective draws per CPU second of sampling are {listed}."]


def _disagreements(summaries: Sequence[Summary]) -> list[str]:
    return [
        f"{each.sampler} and {each.agreement.reference} disagree on the mean of {each.agreement.label} by "
        f"{abs(each.agreement.furthest):.1f} standard errors: one of them has not seen all of the posterior."
        for each in summaries
        if each.agreement is not None and abs(each.agreement.furthest) > _FAR
    ]
