"""The suite as one page of HTML that needs no other file: a dot a model, clean runs, losses with causes, tables."""

import html
import math
from collections.abc import Sequence

from benchmarks.caches import WARM
from benchmarks.dots import STYLE, dots
from benchmarks.figures import FIGURES, FIRST, OURS, Figure, evaluate, first_to_400_ess, misses, values
from benchmarks.losses import HEADS, JUDGED, NOTE, cells_of, losses
from benchmarks.tables import CLEAN, clean_rows, first_of, show, skipped_of
from nutmill.comparison.page import Bar, bars, document, table_html, versions_line
from nutmill.comparison.tables import Table, number


def page(report: dict) -> str:
    """Write the page of a report of the suite."""
    rows, settings, about = report["rows"], report["settings"], report["machine"]
    samplers, models = settings["samplers"], settings["models"]
    shown = [figure for figure in FIGURES if any(row["caches"] == figure.caches for row in rows)]
    title = f"{OURS} and its peers on {len(models)} models"
    opening = (
        f"{report['date'].replace('T', ' ').replace('+00:00', ' UTC')}, {about['cpu']}, {settings['cores']} of "
        f"{about['usable_cores']} usable cores, Python {about['python']}, commit {report.get('commit', 'unknown')}; "
        f"{settings['chains']} chains of {settings['draws']} draws, every sampler at its own defaults, every run in a "
        "process of its own."
    )
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _about(opening),
        f"<p>{html.escape(first_of(first_to_400_ess(rows, models, samplers)))}</p>",
        *([f"<p>{html.escape(skipped)}</p>"] if (skipped := skipped_of(rows)) else []),
        f"<h2>How many times better {OURS} is</h2>",
        _about("A dot is a model, a column a peer, a bar the geometric mean. 1 is a tie. Touch a dot for its name."),
        f'<div class="plots">{"".join(_dots(figure, rows, samplers) for figure in (*JUDGED, *_others(shown)))}</div>',
        table_html(Table("Clean runs", ("sampler", "clean", "of models", "not clean"), clean_rows(rows, samplers))),
        _about(CLEAN),
        *_losses(rows, models, samplers),
        "<h2>Goals</h2>",
        f"<ul>{''.join(f'<li>{html.escape(each)}</li>' for each in _goals(rows, samplers, shown))}</ul>",
        *(_folded(figure.title, table_html(_table(figure, rows, models, samplers))) for figure in shown),
        _folded(
            "Each model: seconds from the start of a process to 400 ESS, model new",
            "".join(_of_model(model, rows, samplers) for model in models),
        ),
        _about(versions_line(about)),
    ]
    return document(title, parts, STYLE)


def _about(text: str) -> str:
    return f'<p class="about">{html.escape(text)}</p>'


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{inner}</details>"


def _others(shown: Sequence[Figure]) -> list[Figure]:
    """Figures that are drawn besides those in which a peer can do better: what a known model costs, and memory."""
    return [figure for figure in shown if figure.caches == WARM or figure.title.startswith("Peak memory")]


def _dots(figure: Figure, rows: Sequence[dict], samplers: Sequence[str]) -> str:
    outcomes = {peer: evaluate(figure, rows, peer) for peer in samplers if peer != OURS}
    columns = {
        peer: {model: ratio.value for model, ratio in outcome.ratios.items()} for peer, outcome in outcomes.items()
    }
    return dots(figure.title, columns)


def _losses(rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> list[str]:
    found = losses(rows, models, samplers)
    if not found:
        return ["<h2>Where a peer does better</h2><p>Nowhere.</p>"]
    return [table_html(Table("Where a peer does better", HEADS, [cells_of(each) for each in found])), _about(NOTE)]


def _goals(rows: Sequence[dict], samplers: Sequence[str], shown: Sequence[Figure]) -> list[str]:
    said = []
    for figure in shown:
        short = misses(figure, rows, samplers)
        said.append(f"{figure.title}: {'missed: ' + '; '.join(short) if short else 'no goal is missed'}.")
    failed = [row for row in rows if "failure" in row]
    said += [f"{row['sampler']} gave up {row['model']} ({row['caches']}): {row['failure']}." for row in failed]
    return said


def _table(figure: Figure, rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str]) -> Table:
    peers = [name for name in samplers if name != OURS]
    outcomes = {peer: evaluate(figure, rows, peer) for peer in peers}
    body = []
    for model in models:
        measured = [values(figure, rows, model, sampler) for sampler in samplers]
        ratios = [outcomes[peer].ratios.get(model) for peer in peers]
        body.append((model, *(number(found[0] if found else math.nan) for found in measured), *map(_ratio, ratios)))
    means = [show(outcomes[peer].overall) for peer in peers]
    body.append(("geometric mean", *[""] * len(samplers), *means))
    return Table(figure.title, ("model", *samplers, *(f"{OURS} vs {peer}" for peer in peers)), body)


def _ratio(ratio) -> str:
    return "" if ratio is None else show(ratio)


def _of_model(model: str, rows: Sequence[dict], samplers: Sequence[str]) -> str:
    times = {sampler: found[0] for sampler in samplers if (found := values(FIRST, rows, model, sampler))}
    chart = [Bar(sampler, (("seconds", time),)) for sampler, time in times.items()]
    return f"<h3>{html.escape(model)}</h3>{bars(chart)}"
