"""The lines of chains as a table, for a terminal or a notebook."""

from collections.abc import Sequence

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nutmill.progress.lines import Line, draws_of_total, figure, left

BAR_WIDTH = 16
# A narrower terminal gets the table without the bar, and with single spaces between the columns.
MIN_WIDTH_WITH_BAR = 100


def table(shown: Sequence[Line], width: int, caption: str = "") -> Table:
    """Draw lines as a table for a terminal of `width` columns or a notebook, with words beneath it."""
    with_bar = width >= MIN_WIDTH_WITH_BAR
    drawn = Table(box=None, pad_edge=False, padding=(0, int(with_bar), 0, 1), header_style="bold")
    drawn.caption, drawn.caption_justify = Text(caption) if caption else None, "left"
    for name in ("Chain", "Phase", *([""] if with_bar else [])):
        drawn.add_column(name, no_wrap=True)
    for name in ("Draws", "Step size", "Grads/draw", "Diverged", "Draws/s", "Left"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for line in shown:
        drawn.add_row(
            line.label.removeprefix("chain "),
            Text(line.phase, style="green" if line.phase == "done" else ""),
            *([_bar(line)] if with_bar else []),
            draws_of_total(line),
            figure(line.step_size),
            figure(line.gradients_per_draw),
            Text(str(line.divergences), style="red" if line.divergences else ""),
            figure(line.draws_per_s),
            "" if line.phase == "done" else left(line),
        )
    return drawn


def _bar(line: Line) -> ProgressBar | str:
    return "" if line.total is None else ProgressBar(total=line.total, completed=line.draw, width=BAR_WIDTH)
