"""Turns a JSON file of a benchmark into a Markdown page beside it: `python -m benchmarks.report FILE`.

Of some there is a page of HTML with plots, too.
"""

import argparse
import json
from pathlib import Path

from benchmarks import efficiency, leapfrog, sites
from benchmarks.batch import tables as batch_tables
from benchmarks.calibration import tables as calibration_tables
from benchmarks.centred import tables as centred_tables
from benchmarks.compiling import tables as compiling_tables
from benchmarks.figures import FIGURES
from benchmarks.gradient import DRAWS
from benchmarks.gradient_tables import goals_section, ratios_section, times_section
from benchmarks.layout import tables as layout_tables
from benchmarks.page import page
from benchmarks.posted import tables as posted_tables
from benchmarks.references import tables as references_tables
from benchmarks.tables import (
    clean_section,
    correctness_section,
    failures_section,
    figure_section,
    losses_section,
    ranks_section,
    short_table,
    skipped_of,
)
from benchmarks.validation import tables as validation_tables


def main(arguments: list[str] | None = None) -> None:
    """Write the pages of the given JSON file, or print the README's table of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("file", type=Path, help="a JSON file of benchmarks/results")
    parser.add_argument("--short", action="store_true", help="only print the short table for the README")
    options = parser.parse_args(arguments)
    report = json.loads(options.file.read_text())
    if options.short and report["kind"] not in _SHORT:
        parser.error(f"the README has tables of {' and '.join(_SHORT)}; this file is of benchmarks.{report['kind']}")
    if options.short:
        print(_SHORT[report["kind"]](report))
        return
    text = options.file.with_suffix(".md")
    text.write_text(render(report))
    print(text)
    if report["kind"] in _PLOTTED:
        plots = options.file.with_suffix(".html")
        plots.write_text(_PLOTTED[report["kind"]](report))
        print(plots)


def render(report: dict) -> str:
    """Render a whole page for a file of any of the benchmarks, as its kind says."""
    sections = _SECTIONS[report["kind"]](report)
    return "\n\n".join([_opening(report), *sections, failures_section(report["rows"])]) + "\n"


def suite_sections(report: dict) -> list[str]:
    """Render who was first and whose draws are clean, every figure with its misses, losses, how right draws are."""
    rows, models, samplers = report["rows"], report["settings"]["models"], report["settings"]["samplers"]
    states = {row["caches"] for row in rows}
    sections = [figure_section(figure, rows, samplers) for figure in FIGURES if figure.caches in states]
    opening = [*filter(None, [skipped_of(rows)]), ranks_section(rows, models, samplers), clean_section(rows, samplers)]
    closing = [losses_section(rows, models, samplers), correctness_section(rows, models, samplers)]
    return [*opening, *sections, *closing]


def efficiency_sections(report: dict) -> list[str]:
    """Render ESS per gradient of both samplers and their ratios."""
    return [efficiency.table(report["rows"], report["settings"]["models"])]


def gradient_sections(report: dict) -> list[str]:
    """Render times per gradient, and what follows from them for the kernel."""
    rows, sampled = report["rows"], [model for model in report["settings"]["models"] if DRAWS.get(model, 1)]
    return [ratios_section(rows), times_section(rows), goals_section(rows, sampled)]


def layout_sections(report: dict) -> list[str]:
    """Render the chosen layouts, whole jobs, and what choosing costs."""
    rows = report["rows"]
    choices = layout_tables.choices_section(rows, report["settings"]["chains"])
    return [choices, *layout_tables.jobs_sections(rows), layout_tables.costs_section(rows)]


_SECTIONS = {
    "suite": suite_sections,
    "efficiency": efficiency_sections,
    "gradient": gradient_sections,
    "leapfrog": leapfrog.sections,
    "sites": sites.sections,
    "layout": layout_sections,
    "compiling": compiling_tables.sections,
    "batch": batch_tables.sections,
    "validation": validation_tables.sections,
    "references": references_tables.sections,
    "calibration": calibration_tables.sections,
    "centred": centred_tables.sections,
    "posted": posted_tables.sections,
}

# Of these there are pages of HTML, too.
_PLOTTED = {"suite": page, "validation": validation_tables.page, "calibration": calibration_tables.page}

_IN_ONE_PROCESS = ("validation", "references", "calibration", "centred")

# What the README shows.
_SHORT = {
    "suite": lambda report: short_table(report["rows"], report["settings"]["models"], report["settings"]["samplers"]),
    "compiling": compiling_tables.short_table,
}


def _opening(report: dict) -> str:
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    settings = ", ".join(f"{name} {_plain(value)}" for name, value in report["settings"].items())
    lines = [
        f"# Benchmark of {report['date']}: {report['kind']}",
        "",
        f"- Machine: {machine['cpu']}, {machine['usable_cores']} usable cores, {machine['memory_gb']} GB, "
        f"Linux {machine['kernel']}",
        f"- Load average before and after: {report['load_average_start']}, {report['load_average_end']}",
        *([f"- Interrupted, and resumed at: {', '.join(report['resumed'])}"] if "resumed" in report else []),
        *([f"- nutmill at commit {report['commit']}"] if "commit" in report else []),
        f"- Python {machine['python']}: {versions}",
        f"- BLAS: {'; '.join(machine['blas'])}",
        f"- Settings: {settings}{'' if report['kind'] in _IN_ONE_PROCESS else '; every run in a process of its own'}",
    ]
    return "\n".join(lines)


def _plain(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
