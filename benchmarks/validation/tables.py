"""A validation as Markdown and as a page with plots: z-scores by posterior, Q-Q plots."""

import html
from collections.abc import Sequence

from benchmarks.tables import head, line
from benchmarks.validation.command import REFERENCE
from benchmarks.validation.judging import MOMENTS, misses, moments, z_scores
from benchmarks.validation.plots import quantiles
from nutmill.comparison.page import document, table_html, versions_line
from nutmill.comparison.tables import Table

_HEADS = ("posterior", "runs", "means: rms z", "furthest", "sds: rms z", "furthest ", "R-hat", "divergences")


def sections(report: dict) -> list[str]:
    """Render a validation as sections of a Markdown page."""
    rows = report["rows"]
    return [
        _verdict(rows),
        "\n".join(
            ["## Moments against reference draws", "", *head(_HEADS), *(line(each) for each in _posteriors(rows))]
        ),
    ]


def page(report: dict) -> str:
    """Write a validation as a page of HTML that needs no other file."""
    rows, about, settings = report["rows"], report["machine"], report["settings"]
    opening = (
        f"{report['date']}, {about['cpu']}, Python {about['python']}; {settings['seeds']} runs of each posterior, four "
        f"chains of {settings['draws']} draws, everything at defaults."
    )
    plots = []
    for moment in MOMENTS:
        title = f"Z-scores of posterior {moment}s against a standard normal distribution"
        plots.append(f"<h2>{title}</h2>{quantiles(z_scores(rows, moment))}")
    parts = [
        "<h1>Are nutmill's draws right?</h1>",
        f'<p class="about">{html.escape(opening)}</p>',
        f"<p>{html.escape(_verdict(rows))}</p>",
        table_html(Table("Moments against the reference draws of posteriordb", _HEADS, _posteriors(rows))),
        *plots,
        f'<p class="about">{html.escape(versions_line(about))}</p>',
    ]
    return document("Are nutmill's draws right?", parts)


def _verdict(rows: Sequence[dict]) -> str:
    short = misses(rows)
    told = [moments(z) for moment in MOMENTS if (z := z_scores(rows, moment))]
    count, rms = sum(each.count for each in told), [f"{each.rms:.2f}" for each in told]
    opening = f"{count} z-scores in standard errors of both; rms of means and of standard deviations: {', '.join(rms)}."
    return f"{opening} {'Missed: ' + '; '.join(short) + '.' if short else 'All within their limits.'}"


def _posteriors(rows: Sequence[dict]) -> list[tuple[str, ...]]:
    table = []
    for model in dict.fromkeys(row["model"] for row in rows if row["cell"] == REFERENCE):
        runs = [row["measurement"] for row in rows if row["cell"] == REFERENCE and row["model"] == model]
        judged = [moments(z_scores(rows, moment, model)) for moment in MOMENTS]
        cells = [cell for each in judged for cell in (f"{each.rms:.2f}", f"{each.furthest:+.1f}")]
        rhat = max(run["quality"]["rhat_max"] for run in runs)
        divergences = sum(run["divergences"] for run in runs)
        table.append((model, str(len(runs)), *cells, f"{rhat:.3f}", str(divergences)))
    return table
