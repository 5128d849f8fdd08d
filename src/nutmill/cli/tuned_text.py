"""What `nutmill tune` found, for people: a table, the heat map, the choice, and how to use it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nutmill.cli import slurm
from nutmill.cli.tuned import Tuned
from nutmill.layout.search import heat
from nutmill.layout.search.findings import Row, Sweep
from nutmill.units import duration, rate

_HEADS = (
    "",
    "chains at once",
    "BLAS threads",
    "BLAS",
    "per gradient",
    "CPU time",
    "one of each chain",
    "gradients/s",
    "measured",
)

_UNSURE = (
    "Profile, which sample_numba takes only if layout= names it, because confidence is low; tune again when the "
    "machine is quiet, or with a larger --budget"
)


def print_tuned(tuned: Tuned, console: Console) -> None:
    """Print all of it."""
    sweep, layout = tuned.sweep, tuned.found.layout
    console.print(_table(sweep, tuned.title))
    console.print()
    console.print(heat.text(heat.heat(sweep), "", "gradients"))
    console.print()
    for line in (*choice(tuned), *(f"Note: {note}" for note in tuned.found.notes)):
        console.print(Text(line))
    for line in _files(tuned):
        console.print(Text(line), soft_wrap=True)
    _print_block(console, "In Python:", [f"from nutmill import Layout, sample_numba\n{_call(tuned)}"])
    _print_block(console, "For other programs, before they start:", [slurm.environment_block(layout)])
    _print_block(console, "In a Slurm job:", [*slurm.directives(layout), slurm.step()])


def choice(tuned: Tuned) -> list[str]:
    """Say which layout was chosen, what it gives, and how sure that is."""
    sweep, job = tuned.sweep, tuned.sweep.job
    waves = job.waves(sweep.best)
    counted = f"{job.chains} chain{'s' * (job.chains > 1)} in {waves} wave{'s' * (waves > 1)}"
    lines = [
        f"Chosen: {sweep.best}; {counted}, {duration(sweep.seconds)} per gradient of one chain, "
        f"{rate(tuned.gradients_per_s)} gradients/s of all."
    ]
    if sweep.runner_up is not None and sweep.margin is not None:
        what = "core hours" if job.objective == "core_hours" else "time"
        low, high = f"{sweep.margin.low:.2f}", f"{sweep.margin.high:.2f}"
        lines.append(
            f"Next best: {sweep.runner_up}, {sweep.margin.estimate:.2f} times the {what} "
            f"({low} to {high} in four cases of five)."
        )
    lines.append(f"Confidence: {sweep.confidence}; others took {100.0 * sweep.others:.0f} % of the CPUs meanwhile.")
    return lines


def _table(sweep: Sweep, title: str) -> Table:
    table = Table(title=Text(title))
    for head in _HEADS:
        table.add_column(head, justify="left" if head in ("BLAS", "") else "right")
    for row in sweep.table():
        table.add_row(*_cells(row, sweep), style="bold" if row.layout == sweep.best else None)
    return table


def _cells(row: Row, sweep: Sweep) -> list[str | Text]:
    layout = row.layout
    mark = "▶" if layout == sweep.best else "*" if row.is_oversubscribed else ""
    return [
        mark,
        str(layout.chains_at_once),
        str(layout.blas_threads),
        Text("SciPy's" if layout.blas is None else layout.blas),
        duration(row.seconds),
        duration(row.cpu_seconds),
        duration(row.wall_s),
        rate(sweep.job.chains / row.wall_s),
        f"{row.n_measured} x",
    ]


def _call(tuned: Tuned) -> str:
    return slurm.python_line(tuned.found.layout, tuned.sweep.job.chains)


def _files(tuned: Tuned) -> list[str]:
    is_sure = tuned.profile.doubt is None
    kept = "Profile, which sample_numba finds by itself" if is_sure else _UNSURE
    paths = ((kept, tuned.found.path), ("Profile", tuned.profile_file), ("Heat map", tuned.png))
    return [f"{what}: {path}" for what, path in paths if path is not None]


def _print_block(console: Console, title: str, lines: list[str]) -> None:
    """Print lines to be copied: without wrapping."""
    console.print()
    console.print(Text(title, style="bold"))
    for line in "\n".join(lines).splitlines():
        console.print(Text(f"    {line}"), soft_wrap=True)
