"""A calibration as Markdown and as a page with plots: how uniform the ranks of each scalar are."""

import html
from collections.abc import Sequence

import numpy as np

from benchmarks.calibration.plots import LEVEL, strayed
from benchmarks.tables import head, line
from nutmill.comparison.page import document, table_html, versions_line
from nutmill.comparison.tables import Table
from nutmill.many.rank_bands import p_value

# Of all scalars together: how often a page of right draws would name one.
FALSE_ALARMS = 0.01

_TITLE = "Are nutmill's draws calibrated?"
_HEADS = ("experiment", "scalars", "least p-value", "of", "runs too short", "divergences")


def p_values(rows: Sequence[dict]) -> dict[str, dict[str, float]]:
    """Judge every scalar of every experiment."""
    return {
        row["model"]: {name: p_value(counts) for name, counts in row["measurement"]["counts"].items()} for row in rows
    }


def uneven(rows: Sequence[dict]) -> list[str]:
    """Name the scalars whose ranks are surely not uniform."""
    found = p_values(rows)
    limit = FALSE_ALARMS / sum(map(len, found.values()))
    return [f"{model}: {name}" for model, each in found.items() for name, p in each.items() if p < limit]


def sections(report: dict) -> list[str]:
    """Render a calibration as sections of a Markdown page."""
    table = [*head(_HEADS), *(line(each) for each in _experiments(report["rows"]))]
    return [_verdict(report), "\n".join(table)]


def page(report: dict) -> str:
    """Write a calibration as a page of HTML that needs no other file."""
    rows, about, plots = report["rows"], report["machine"], []
    for row in rows:
        plots.append(f"<h2>{html.escape(row['model'])}</h2>")
        plots += [strayed(name, np.array(counts)) for name, counts in row["measurement"]["counts"].items()]
    about_plots = (
        "Below: the share of ranks up to each rank, less what it should be; "
        f"{LEVEL:.0%} of scalars stay within the grey band throughout if draws are right."
    )
    parts = [
        f"<h1>{_TITLE}</h1>",
        f'<p class="about">{report["date"]}, {html.escape(about["cpu"])}, Python {about["python"]}</p>',
        f"<p>{html.escape(_verdict(report))}</p>",
        table_html(Table("Ranks of true parameters among draws", _HEADS, _experiments(rows))),
        f"<p>{about_plots}</p>",
        *plots,
        f'<p class="about">{html.escape(versions_line(about))}</p>',
    ]
    return document(_TITLE, parts)


def _verdict(report: dict) -> str:
    rows = report["rows"]
    n_scalars, bad = sum(len(row["measurement"]["counts"]) for row in rows), uneven(rows)
    told = (
        f"{report['settings']['data_sets']} data sets of each of {len(rows)} experiments, drawn from the priors; four "
        f"chains each, everything at defaults. {n_scalars} ranks of parameters and log densities were judged by an "
        "exact test of their cumulative counts. "
    )
    limit = f"{FALSE_ALARMS:g} / {n_scalars}"
    return told + (f"Uneven (p below {limit}): {', '.join(bad)}." if bad else f"None has a p-value below {limit}.")


def _experiments(rows: Sequence[dict]) -> list[tuple[str, ...]]:
    found, table = p_values(rows), []
    for row in rows:
        least, scalar = min((p, name) for name, p in found[row["model"]].items())
        measured = row["measurement"]
        counts = (str(measured["n_slow"]), str(measured["n_divergences"]))
        table.append((row["model"], str(len(measured["counts"])), f"{least:.4f}", scalar, *counts))
    return table
