"""The lines of chains as a table, for a terminal or a notebook."""

from collections.abc import Sequence

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nutmill.progress.lines import Line, draws_of_total, duration, figure

BAR_WIDTH = 16
# A narrower terminal gets the table without the bar, and with single spaces between the columns.
MIN_WIDTH_WITH_BAR = 100


def table(shown: Sequence[Line], width: int) -> Table:
    """Draw lines as a table for a terminal of `width` columns or a notebook."""
    with_bar = width >= MIN_WIDTH_WITH_BAR
    drawn = Table(box=None, pad_edge=False, padding=(0, int(with_bar), 0, 1), header_style="bold")
    for name in ("Chain", "Phase", *([""] if with_bar else [])):
        drawn.add_column(name, no_wrap=True)
    for name in ("Draws", "Step size", "Grads/draw", "Steps", "Diverged", "Draws/s", "Left"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for line in shown:
        drawn.add_row(
            line.label.removeprefix("chain "),
            Text(line.phase, style="green" if line.phase == "done" else ""),
            *([_bar(line)] if with_bar else []),
            draws_of_total(line),
            figure(line.step_size),
            figure(line.gradients_per_draw),
            str(line.n_steps),
            Text(str(line.divergences), style="red" if line.divergences else ""),
            figure(line.draws_per_s),
            "" if line.phase == "done" else duration(line.left_s),
        )
    return drawn


def _bar(line: Line) -> ProgressBar | str:
    return "" if line.total is None else ProgressBar(total=line.total, completed=line.draw, width=BAR_WIDTH)
