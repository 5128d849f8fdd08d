"""The heat map of a sweep: how fast the whole job is, by library, chains at once and threads; in text and PNG."""

import os
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

import numpy as np
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from nutmill.layout.layout import Layout
from nutmill.layout.search.findings import Sweep
from nutmill.units import rate


class Heat(NamedTuple):
    """Rates by layout: a panel for each BLAS library and number of threads that is not along the columns."""

    panels: tuple[str, ...]  # what each is called, SciPy's library first
    chains_at_once: np.ndarray  # (n_rows,) int64: increasing
    threads: np.ndarray  # (n_columns,) int64: increasing
    kind: str  # what the columns count: "BLAS threads" or "tile threads"
    # (n_panels, n_rows, n_columns) float64: units per second of the whole job, all chains together, waves included;
    # NaN where nothing was measured.
    rate: np.ndarray
    is_oversubscribed: np.ndarray  # (n_panels, n_rows, n_columns) bool: more threads than cores
    chosen: tuple[int, int, int]
    caption: str  # the chosen layout, and how sure it is


def heat(sweep: Sweep, labels: Mapping[str | None, str] | None = None) -> Heat:
    """Arrange the measurements of a sweep in grids.

    `labels` are what people call the libraries that layouts name (`Layout.blas`).
    """
    rows = sweep.table()
    # Of two kinds of threads one goes along the columns: that of BLAS, unless there is one of each chain anyway.
    along, other = "blas_threads", "tile_threads"
    if all(row.layout.blas_threads == 1 for row in rows) and any(row.layout.tile_threads > 1 for row in rows):
        along, other = other, along
    keys = sorted({_panel_key(row.layout, other) for row in rows})
    chains = np.array(sorted({row.layout.chains_at_once for row in rows}), dtype=np.int64)
    threads = np.array(sorted({getattr(row.layout, along) for row in rows}), dtype=np.int64)

    def cell(layout: Layout) -> tuple[int, int, int]:
        row, column = np.searchsorted(chains, layout.chains_at_once), np.searchsorted(threads, getattr(layout, along))
        return keys.index(_panel_key(layout, other)), int(row), int(column)

    rates = np.full((len(keys), len(chains), len(threads)), np.nan)
    for row in rows:
        rates[cell(row.layout)] = sweep.job.chains / row.wall_s
    of_chain = np.maximum(threads, np.array([count for *_, count in keys])[:, None])
    over = chains[:, None] * of_chain[:, None, :] > sweep.job.n_cores
    names = tuple(_panel_name(key, keys, labels or {}, _KINDS[other]) for key in keys)
    caption = f"{sweep.best}; confidence: {sweep.confidence}"
    return Heat(names, chains, threads, _KINDS[along], rates, over, cell(sweep.best), caption)


_KINDS = {"blas_threads": "BLAS threads", "tile_threads": "tile threads"}

_PanelKey = tuple[bool, str, int]  # SciPy's library first


def _panel_key(layout: Layout, other: str) -> _PanelKey:
    return layout.blas is not None, layout.blas or "", getattr(layout, other)


def _panel_name(key: _PanelKey, keys: Sequence[_PanelKey], labels: Mapping[str | None, str], kind: str) -> str:
    """What a panel is called: its library, and how many threads of the other kind, if panels differ in that."""
    _, blas, count = key
    library = labels.get(blas or None) or ("SciPy's" if not blas else os.path.basename(blas))
    if len({count for *_, count in keys}) == 1:
        return library
    n_threads = f"{count} {kind if count > 1 else kind.removesuffix('s')}"
    return n_threads if len({blas for _, blas, _ in keys}) == 1 else f"{library}, {n_threads}"


def text(heat: Heat, title: str = "", unit: str = "units") -> Group:
    """Draw a heat map for the terminal, to be printed by rich.

    `title` names machine and model, `unit` what the workload counts, in the plural.
    """
    panels = [_text_panel(heat, library) for library in range(len(heat.panels))]
    panels[0].title = title or None
    if len(panels) == 1:
        panels[0].caption = _caption(heat, unit)
        return Group(*panels)
    return Group(*panels, Text(_caption(heat, unit), style="italic"))


def _text_panel(heat: Heat, library: int) -> Table:
    head = f"chains at once \\ {heat.kind}"
    if len(heat.panels) > 1:
        head = f"{heat.panels[library]}: {head}"
    table = Table(Column(head, justify="right", style="bold"))
    for threads in heat.threads:
        table.add_column(str(threads), justify="right")
    for row, chains in enumerate(heat.chains_at_once):
        cells = [_text_cell(heat, (library, row, column)) for column in range(len(heat.threads))]
        if any(not np.isnan(rate) for rate in heat.rate[library, row]):
            table.add_row(str(chains), *cells)
    return table


def draw(heat: Heat, path: str | os.PathLike, title: str = "", unit: str = "units") -> None:
    """Draw a heat map into a PNG file, in the rows and colours of `text`; needs matplotlib.

    `title` and `unit` are as in `text`; a long title is broken into lines.
    """
    from matplotlib.figure import Figure  # a figure of its own: pyplot would keep it, and touch the backend

    n_panels, n_rows, n_columns = heat.rate.shape
    width = max(6.0, 1.6 + n_panels * (1.0 + 0.95 * n_columns))
    heading = [
        line for part in (title, f"chosen: {heat.caption}") for line in wrap(part, int(_LETTERS_PER_INCH * width))
    ]
    height = max(3.6, 2.2 + 0.62 * n_rows) + 0.17 * (len(heading) - 2)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]
    scale = {"cmap": "cividis", "aspect": "auto", "vmin": 0.0, "vmax": np.nanmax(heat.rate)}
    for library, axes in enumerate(panels):
        image = axes.imshow(heat.rate[library], **scale)
        _rule(axes, heat)
        _label_cells(axes, heat, library)
        if n_panels > 1:
            axes.set_title(heat.panels[library], fontsize=10)
    panels[0].set_ylabel("chains at once")
    figure.supxlabel(f"{heat.kind} per chain\n{_legend(heat)}", fontsize="medium")
    _frame(panels[heat.chosen[0]], heat.chosen[1:])
    figure.suptitle("\n".join(heading), fontsize=10)
    figure.colorbar(image, ax=list(panels), label=f"{unit} per second, all chains")
    figure.savefig(path, dpi=150, format="png")


def _rule(axes, heat: Heat) -> None:
    """Mark rows and columns, and part the cells by white lines."""
    n_rows, n_columns = heat.rate.shape[1:]
    axes.set_facecolor("0.92")
    axes.set_xticks(range(n_columns), [str(value) for value in heat.threads])
    axes.set_yticks(range(n_rows), [str(value) for value in heat.chains_at_once])
    axes.set_xticks(np.arange(0.5, n_columns - 1), minor=True)
    axes.set_yticks(np.arange(0.5, n_rows - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)


def _label_cells(axes, heat: Heat, library: int) -> None:
    share = _share(heat)[library]
    for row, column in np.argwhere(~np.isnan(heat.rate[library])):
        colour = "black" if share[row, column] > 0.6 else "white"
        mark = "*" if heat.is_oversubscribed[library, row, column] else ""
        label = rate(heat.rate[library, row, column]) + mark
        axes.text(column, row, label, ha="center", va="center", color=colour)


def _frame(axes, cell: tuple[int, int]) -> None:
    row, column = cell
    x, y = [column - 0.47, column + 0.47], [row - 0.47, row + 0.47]
    corners = [x[0], x[1], x[1], x[0], x[0]], [y[0], y[0], y[1], y[1], y[0]]
    axes.plot(*corners, color="white", linewidth=5.0, solid_joinstyle="miter")
    axes.plot(*corners, color="crimson", linewidth=2.5, solid_joinstyle="miter")


def _text_cell(heat: Heat, cell: tuple[int, int, int]) -> Text:
    value = heat.rate[cell]
    if np.isnan(value):
        return Text("·", style="dim")
    share = float(_share(heat)[cell])
    red, green, blue = (round(np.interp(share, (0.0, 0.5, 1.0), ends)) for ends in _COLOURS)
    style = f"{'black' if share > 0.6 else 'white'} on rgb({red},{green},{blue})"
    if cell == heat.chosen:
        return Text(f"▶{rate(value)}", style=f"bold {style}")
    return Text(rate(value) + ("*" if heat.is_oversubscribed[cell] else ""), style=style)


# Red, green and blue of cividis at its dark blue end, in the middle and at its yellow end: it reads the same without
# colour vision, and in print.
_COLOURS = ((0, 124, 254), (34, 123, 232), (78, 120, 56))
# Of the title, over a map that its axis and its scale make narrower than the figure.
_LETTERS_PER_INCH = 11


def _share(heat: Heat) -> np.ndarray:
    return heat.rate / np.nanmax(heat.rate)


def _caption(heat: Heat, unit: str) -> str:
    parts = (f"{unit} per second of the whole job", f"chosen: {heat.caption}", _legend(heat, "·"))
    return "\n".join(filter(None, parts))


def _legend(heat: Heat, empty: str = "grey") -> str:
    """Say what cells without a number and numbers with a star are."""
    measured = ~np.isnan(heat.rate)
    parts = []
    if not measured.all():
        parts.append(f"{empty}: not measured, cannot win or does not fit")
    if np.any(measured & heat.is_oversubscribed):
        parts.append("*: more threads than cores")
    return "; ".join(parts)
