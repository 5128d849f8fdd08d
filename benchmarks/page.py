"""The suite as one page of HTML that needs no other file: what was met and missed, plots, tables."""

import html
import math
from collections.abc import Sequence

from benchmarks.figures import FIGURES, FIRST, OURS, Figure, evaluate, first_to_400_ess, misses, values
from benchmarks.tables import first_of, show
from nutmill.comparison.page import Bar, bars, document, table_html, versions_line
from nutmill.comparison.tables import Table, number


def page(report: dict) -> str:
    """Write the page of a report of the suite."""
    rows, settings, about = report["rows"], report["settings"], report["machine"]
    samplers, models = settings["samplers"], settings["models"]
    shown = [figure for figure in FIGURES if any(row["caches"] == figure.caches for row in rows)]
    title = f"{OURS} and its peers on {len(models)} models"
    opening = (
        f"{report['date']}, {about['cpu']}, {settings['cores']} of {about['usable_cores']} usable cores, Python "
        f"{about['python']}; {settings['chains']} chains of {settings['draws']} draws, every sampler at its own "
        "defaults, every run in a process of its own."
    )
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="about">{html.escape(opening)}</p>',
        f"<ul>{''.join(f'<li>{html.escape(each)}</li>' for each in _sentences(rows, models, samplers, shown))}</ul>",
        *(_overall(figure, rows, samplers) for figure in shown),
        *(table_html(_table(figure, rows, models, samplers)) for figure in shown),
        "<h2>Each model: seconds from the start of a process to 400 ESS, model new</h2>",
        *(_of_model(model, rows, samplers) for model in models),
        f'<p class="about">{html.escape(versions_line(about))}</p>',
    ]
    return document(title, parts)


def _sentences(
    rows: Sequence[dict], models: Sequence[str], samplers: Sequence[str], shown: Sequence[Figure]
) -> list[str]:
    said = [first_of(first_to_400_ess(rows, models, samplers))]
    for figure in shown:
        short = misses(figure, rows, samplers)
        said.append(f"{figure.title}: {'missed: ' + '; '.join(short) if short else 'no goal is missed'}.")
    failed = [row for row in rows if "failure" in row]
    said += [f"{row['sampler']} gave up {row['model']} ({row['caches']}): {row['failure']}." for row in failed]
    return said


def _overall(figure: Figure, rows: Sequence[dict], samplers: Sequence[str]) -> str:
    """Draw geometric means over the models that all samplers with this figure have been measured on."""
    found = {sampler: {m: v for m in figure.models if (v := values(figure, rows, m, sampler))} for sampler in samplers}
    found = {sampler: by_model for sampler, by_model in found.items() if by_model}
    common = [model for model in figure.models if all(model in by_model for by_model in found.values())]
    chart = [Bar(sampler, ((figure.title, _mean(by_model, common)),)) for sampler, by_model in found.items()]
    title = f"{figure.title}: geometric mean of {len(common)} models"
    return f"<h2>{html.escape(title)}</h2>{bars(chart, most_is_best=figure.larger_is_better)}"


def _mean(by_model: dict[str, list[float]], models: Sequence[str]) -> float:
    logs = [math.log(value) for model in models for value in by_model[model]]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


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
