"""What `nutmill tune` found, as one document for programs."""

from pathlib import Path
from typing import NamedTuple, cast

from nutmill import __version__
from nutmill.cli import slurm
from nutmill.layout.machine.topology import Topology
from nutmill.layout.profile import Profile
from nutmill.layout.search.findings import Row, Sweep
from nutmill.sampling.chosen_layout import Found


class Tuned(NamedTuple):
    """What was found for a model on a machine.

    Attributes
    ----------
    model : str
        As the user named it.
    n_dim : int
    topology : Topology
    found : Found
        Of a sweep.
    png, profile_file : Path or None
        Files that the user asked for.
    """

    model: str
    n_dim: int
    topology: Topology
    found: Found
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
        """Model and machine in a line."""
        n_cores = self.topology.n_cores
        return f"{self.model} on {self.topology.cpu_model}, {n_cores} core{'s' * (n_cores > 1)}"

    @property
    def gradients_per_s(self) -> float:
        """Of the whole job, all chains together, waves included."""
        return self.sweep.job.chains / self.sweep.wall_s


def as_dict(tuned: Tuned) -> dict:
    """Give all of it in a form that JSON can hold."""
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
        "seconds_per_gradient": sweep.seconds,
        "gradients_per_s": tuned.gradients_per_s,
        "confidence": sweep.confidence,
        "is_found_by_itself": tuned.found.path is not None and tuned.profile.doubt is None,
        "table": [_row(row, chains) for row in sweep.table()],
        "notes": list(tuned.found.notes),
        "profile": _text(tuned.found.path),
        "profile_file": _text(tuned.profile_file),
        "png": _text(tuned.png),
        "environment": slurm.environment(layout),
        "sbatch": [*slurm.directives(layout), slurm.step()],
        "python": slurm.python_line(layout, chains),
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
