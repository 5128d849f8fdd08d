"""A comparison as one page of HTML that needs no other file: sentences, plots as SVG, tables."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nutmill.comparison.comparison import Table, sentences, tables
from nutmill.comparison.plots import Bar, bars
from nutmill.comparison.summary import WANTED_ESS, Summary

if TYPE_CHECKING:
    from nutmill.comparison.comparing import Comparison

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --rule: #ddd; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #181818; --rule: #3a3a3a; --soft: #999; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
p.about { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.85rem; }
th, td { padding: 0.3rem 0.6rem; text-align: right; border-bottom: 1px solid var(--rule); }
th { vertical-align: bottom; font-weight: 600; } th:first-child, td:first-child { text-align: left; }
svg { width: 100%; max-width: 52rem; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
"""


def page(comparison: "Comparison") -> str:
    """Write the page."""
    about = comparison.machine
    settings = comparison.settings
    opening = (
        f"{comparison.date}, {about['cpu']}, {settings.cores} of {about['usable_cores']} usable cores, "
        f"Python {about['python']}; {settings.chains} chains of {settings.draws} draws, {settings.repeats} runs each, "
        "every run in a process of its own. Medians."
    )
    parts = [
        f"<h1>{_text(comparison.title)}</h1>",
        f'<p class="about">{_text(opening)}</p>',
        f"<ul>{''.join(f'<li>{_text(sentence)}</li>' for sentence in sentences(comparison))}</ul>",
        *_plots(comparison.summaries),
        *(table_html(table) for table in tables(comparison)),
        f'<p class="about">{_text(versions_line(about))}</p>',
    ]
    return document(comparison.title, parts)


def in_a_notebook(comparison: "Comparison") -> str:
    """Write sentences and tables without a style of their own, for a page that has one."""
    said = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences(comparison))
    return f"<h3>{_text(comparison.title)}</h3><ul>{said}</ul>{''.join(map(table_html, tables(comparison)))}"


def document(title: str, parts: Sequence[str]) -> str:
    """Write a page of these parts of HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _plots(summaries: Sequence[Summary]) -> list[str]:
    drawn = [each for each in summaries if each.n_runs]
    times = [
        Bar(
            each.sampler,
            (
                ("start and imports", each.to_ess_cold_s - each.compile_cold_s - each.sample_to_ess_s),
                ("compile", each.compile_cold_s),
                (f"sample to {WANTED_ESS} ESS", each.sample_to_ess_s),
            ),
        )
        for each in drawn
    ]
    gradients = [Bar(each.sampler, (("ESS", each.ess_per_1000_gradients),)) for each in drawn]
    cpu = [Bar(each.sampler, (("ESS", each.ess_per_cpu_s),)) for each in drawn]
    return [
        f"<h2>Seconds until every parameter of a new model has {WANTED_ESS} effective draws</h2>{bars(times)}",
        f"<h2>Least ESS per 1000 gradients, warmup included</h2>{bars(gradients, most_is_best=True)}",
        f"<h2>Least ESS per CPU second of sampling</h2>{bars(cpu, most_is_best=True)}",
    ]


def table_html(table: Table) -> str:
    """Write a table under its title."""
    head = "".join(f"<th>{_text(cell)}</th>" for cell in table.heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<h2>{_text(table.title)}</h2><div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def versions_line(about: dict) -> str:
    """List the packages of `machine.identity` with their versions."""
    return ", ".join(f"{package} {version}" for package, version in about["packages"].items())


def _text(value: str) -> str:
    return html.escape(value)
