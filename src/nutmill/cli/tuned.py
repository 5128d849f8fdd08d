"""What `nutmill tune` found: a document for programs, a table and a map for people, and lines to be copied."""

from pathlib import Path
from typing import NamedTuple, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nutmill import __version__
from nutmill.layout.layout import Layout
from nutmill.layout.machine.topology import Topology
from nutmill.layout.profile import Profile
from nutmill.layout.search import heat
from nutmill.layout.search.findings import Row, Sweep
from nutmill.sampling.chosen_layout import ChosenLayout
from nutmill.units import duration, rate

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
# Of `sample_numba`.
_DEFAULT_CHAINS = 4
# Letters of a model's name in a title.
_LONGEST = 50


def environment(layout: Layout) -> dict[str, str]:
    """Give the variables with which another program's BLAS uses as many threads a chain.

    They count when a process starts. One that runs several chains in threads shares them between its chains.
    """
    return dict.fromkeys(_VARIABLES, str(layout.blas_threads))


def environment_block(layout: Layout) -> str:
    """Write `environment` for a shell."""
    return "\n".join(f"export {name}={value}" for name, value in environment(layout).items())


def directives(layout: Layout) -> list[str]:
    """Give the lines at the top of a job script that ask Slurm for the cores of a layout.

    One task, so that all of it is on one node; cores rather than hardware threads.
    """
    n_cores = layout.n_threads
    return ["#SBATCH --ntasks=1", f"#SBATCH --cpus-per-task={n_cores}", "#SBATCH --hint=nomultithread"]


def step(command: str = "python run.py") -> str:
    """Give the line of a job script that starts a command on the job's cores.

    It repeats ``--cpus-per-task``, because srun does not take it from sbatch in Slurm 22.05 to 23.02.
    """
    return f"srun --cpus-per-task=$SLURM_CPUS_PER_TASK {command}"


def python_line(layout: Layout, chains: int) -> str:
    """Write the call that samples under a layout; what is the default and says nothing is left out."""
    always = ("chains_at_once", "blas_threads")
    defaults = Layout(1).as_dict()
    values = {name: value for name, value in layout.as_dict().items() if name in always or value != defaults[name]}
    arguments = ", ".join(f"{name}={value!r}" for name, value in values.items())
    given = "" if chains == _DEFAULT_CHAINS else f"chains={chains}, "
    return f"sample_numba(model, {given}layout=Layout({arguments}))"


class Tuned(NamedTuple):
    """What was found for a model on a machine."""

    model: str  # as the user named it
    n_dim: int
    topology: Topology
    found: ChosenLayout  # of a sweep
    # Files that the user asked for.
    png: Path | None
    profile_file: Path | None

    @property
    def profile(self) -> Profile:
        """What the sweep was kept as."""
        return cast(Profile, self.found.profile)  # whatever a sweep has found, it comes with one

    @property
    def sweep(self) -> Sweep:
        """Every measurement."""
        return self.profile.sweep

    @property
    def title(self) -> str:
        """Model and machine in a line; of a long path the end, which tells more."""
        n_cores = self.topology.n_cores
        model = self.model if len(self.model) <= _LONGEST else f"…{self.model[1 - _LONGEST :]}"
        return f"{model} on {self.topology.cpu_model}, {n_cores} core{'s' * (n_cores > 1)}"

    @property
    def labels(self) -> dict[str | None, str]:
        """What people call the libraries that layouts name: with their versions."""
        return {one.blas: one.label + (" (SciPy's)" if one.blas is None else "") for one in self.profile.libraries}

    @property
    def gradients_per_s(self) -> float:
        """Of the whole job, all chains together, waves included."""
        return self.sweep.job.chains / self.sweep.wall_s


def as_dict(tuned: Tuned) -> dict:
    """Give all of it as plain values for JSON."""
    sweep, layout, chains = tuned.sweep, tuned.found.layout, tuned.sweep.job.chains
    return {
        "nutmill": __version__,
        "model": tuned.model,
        "n_dim": tuned.n_dim,
        "machine": {
            "fingerprint": tuned.topology.fingerprint(),
            "description": tuned.profile.machine_description,
        },
        "layout": layout.as_dict(),
        "libraries": [library._asdict() for library in tuned.profile.libraries],
        "seconds_per_gradient": sweep.seconds,
        "gradients_per_s": tuned.gradients_per_s,
        "confidence": sweep.confidence,
        "is_found_by_itself": tuned.found.path is not None and tuned.profile.doubt is None,
        "table": [_row(row, chains) for row in sweep.table()],
        "notes": list(tuned.found.notes),
        "profile": _text(tuned.found.path),
        "profile_file": _text(tuned.profile_file),
        "png": _text(tuned.png),
        "environment": environment(layout),
        "sbatch": [*directives(layout), step()],
        "python": python_line(layout, chains),
        "sweep": sweep.as_dict(),
    }


def _row(row: Row, chains: int) -> dict:
    return {
        "layout": row.layout.as_dict(),
        "seconds_per_gradient": row.seconds,
        "gradients_per_s": chains / row.wall_s,
        "wall_s_per_round": row.wall_s,
        "cpu_seconds_per_gradient": row.cpu_seconds,
        "n_measured": row.n_measured,
        "is_oversubscribed": row.is_oversubscribed,
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


_UNSURE = (
    "Profile, which sample_numba takes only if layout= names it, because confidence is low; tune again when the "
    "machine is quiet, or with a larger --budget"
)


def print_tuned(tuned: Tuned, console: Console, *, for_jobs: bool) -> None:
    """Print all of it.

    With `for_jobs`, the lines that are copied into job scripts too.
    """
    sweep, layout = tuned.sweep, tuned.found.layout
    console.print(_table(tuned))
    console.print()
    console.print(heat.text(heat.heat(sweep, tuned.labels), "", "gradients"))
    console.print()
    for line in (*choice(tuned), *(f"Note: {note}" for note in tuned.found.notes)):
        console.print(Text(line))
    for line in _files(tuned):
        console.print(Text(line), soft_wrap=True)
    _print_block(console, "In Python:", [f"from nutmill import Layout, sample_numba\n{_call(tuned)}"])
    if not for_jobs:
        return
    _print_block(console, "For other programs, before they start:", [environment_block(layout)])
    _print_block(console, "In a Slurm job:", [*directives(layout), step()])


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


def _table(tuned: Tuned) -> Table:
    """Write a row a layout, in 80 columns; the BLAS only where several were tried."""
    rows, best = tuned.sweep.table(), tuned.sweep.best
    with_blas = len({row.layout.blas for row in rows}) > 1
    with_tiles = len({row.layout.tile_threads for row in rows}) > 1
    table = Table(title=Text(tuned.title))
    table.add_column("")
    for head in ("chains\nat once", "BLAS\nthreads", *(["tile\nthreads"] if with_tiles else [])):
        table.add_column(head, justify="right")
    if with_blas:
        table.add_column("BLAS", overflow="fold")
    for head in ("per\ngradient", "CPU\ntime", "one of\neach chain", "gradients\nper s"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            *_cells(row, tuned, with_blas=with_blas, with_tiles=with_tiles),
            style="bold" if row.layout == best else None,
        )
    return table


def _cells(row: Row, tuned: Tuned, *, with_blas: bool, with_tiles: bool) -> list[str | Text]:
    layout, sweep = row.layout, tuned.sweep
    name = tuned.labels.get(layout.blas) or ("SciPy's" if layout.blas is None else layout.blas)
    return [
        "▶" if layout == sweep.best else "*" if row.is_oversubscribed else "",
        str(layout.chains_at_once),
        str(layout.blas_threads),
        *([str(layout.tile_threads)] if with_tiles else []),
        *([Text(name)] if with_blas else []),
        duration(row.seconds),
        duration(row.cpu_seconds),
        duration(row.wall_s),
        rate(sweep.job.chains / row.wall_s),
    ]


def _call(tuned: Tuned) -> str:
    return python_line(tuned.found.layout, tuned.sweep.job.chains)


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
