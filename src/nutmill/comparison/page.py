"""A page of HTML that needs no other file: sentences, bars drawn as SVG, tables."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from nutmill.comparison.summary import WANTED_ESS, Summary
from nutmill.comparison.tables import Table, number

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

_COLOURS = ("#9aa5b1", "#d9903d", "#3b7dd8")
_ROW, _LEFT, _WIDTH, _ROOM = 26, 150, 800, 60


class Bar(NamedTuple):
    """A name, and the parts of its bar: what each is, and how long."""

    name: str
    parts: tuple[tuple[str, float], ...]

    @property
    def length(self) -> float:
        """Of all parts together; NaN if one was not measured."""
        return sum(length for _, length in self.parts)


def bars(chart: Sequence[Bar], *, most_is_best: bool = False) -> str:
    """Draw bars, the best on top; one that was not measured is left out. Parts have a legend if there are several."""
    known = sorted((bar for bar in chart if math.isfinite(bar.length)), key=lambda bar: bar.length)
    if not known:
        return "<p>Not measured.</p>"
    known = known[::-1] if most_is_best else known
    scale = (_WIDTH - _LEFT - _ROOM) / max(bar.length for bar in known)
    drawn = [_bar(bar, row * _ROW, scale) for row, bar in enumerate(known)]
    legend = _legend(known[0], len(known) * _ROW) if len(known[0].parts) > 1 else ""
    height = len(known) * _ROW + (_ROW if legend else 0)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{"".join(drawn)}{legend}</svg>'


def _bar(bar: Bar, top: float, scale: float) -> str:
    drawn, left = [_svg_text(_LEFT - 8, top, bar.name, anchor="end")], float(_LEFT)
    for colour, (kind, length) in zip(_colours(bar), bar.parts, strict=True):
        width = max(length, 0.0) * scale
        drawn.append(
            f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 8}" fill="{colour}">'
            f"<title>{html.escape(kind)}: {number(length)}</title></rect>"
        )
        left += width
    return "".join([*drawn, _svg_text(left + 6, top, number(bar.length))])


def _legend(bar: Bar, top: float) -> str:
    drawn, left = [], float(_LEFT)
    for colour, (kind, _) in zip(_colours(bar), bar.parts, strict=True):
        drawn.append(f'<rect x="{left}" y="{top + 8}" width="10" height="10" fill="{colour}"/>')
        drawn.append(_svg_text(left + 15, top, kind))
        left += 30 + 7 * len(kind)
    return "".join(drawn)


def _colours(bar: Bar) -> tuple[str, ...]:
    return _COLOURS[-len(bar.parts) :]


def _svg_text(x: float, top: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{top + _ROW / 2 + 4:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def opening(title: str, about: str, sentences: Sequence[str]) -> list[str]:
    """Begin a page: its title, a line about what was measured, and sentences."""
    said = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return [f"<h1>{_text(title)}</h1>", f'<p class="about">{_text(about)}</p>', f"<ul>{said}</ul>"]


def closing(about: dict) -> str:
    """End a page: the versions that `machine.identity` names."""
    return f'<p class="about">{_text(versions_line(about))}</p>'


def for_notebook(title: str, sentences: Sequence[str], tables: Sequence[Table]) -> str:
    """Write sentences and tables without a style of their own, for a page that has one."""
    said = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f"<h3>{_text(title)}</h3><ul>{said}</ul>{''.join(map(table_html, tables))}"


def document(title: str, parts: Sequence[str], style: str = "") -> str:
    """Write a page of these parts of HTML, with a style beyond that of all pages."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{style}</style></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def plots_of(summaries: Sequence[Summary]) -> list[str]:
    """Draw how long samplers take and what their gradients and CPU seconds are worth, each plot under its title."""
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
