"""Runs by their folders: those that lie in one, and one that has begun and is to go on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nutmill.errors import CheckpointError, NutmillError

if TYPE_CHECKING:
    from nutmill.native.compiled import CompiledModel


def runs_in(folder: Path) -> list[Path]:
    """Find the runs of a folder: itself, or those in it."""
    from nutmill.checkpoint.manifest import MANIFEST

    if (folder / MANIFEST).exists():
        return [folder]
    runs = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not runs:
        raise NutmillError(f"{folder} holds no run that has begun.")
    return runs


# Options by the arguments of `sample_numba` that they become; `draws` and `until` may change.
_OPTIONS = {
    "tune": "--tune",
    "chains": "--chains",
    "chain_ids": "--chain-ids",
    "random_seed": "--seed",
    "target_accept": "--target-accept",
    "max_treedepth": "--max-treedepth",
    "metric": "--metric",
    "centring": "--centring",
    "starts": "--starts",
    "discard_tuned_samples": "--keep-warmup",
}


class BegunRun(NamedTuple):
    """A run in a folder."""

    path: Path
    request: Mapping[str, Any]  # what it was begun with, by the arguments of `sample_numba`

    def go_on(self, compiled: "CompiledModel", arguments: Mapping[str, Any], execution: Mapping[str, Any]):
        """Go on with the run, and return its result; raises CheckpointError if the model is another.

        `arguments` are those of `sample_numba` that the command was given; more draws or other targets than before are
        fine. `execution` are the arguments that draws do not depend on.
        """
        import nutmill

        changes = {name: arguments[name] for name in ("draws", "until") if arguments[name] != self.request[name]}
        return nutmill.resume(self.path, compiled, **changes, **execution)

    def check(self, arguments: Mapping[str, Any], *, resume: bool) -> None:
        """Raise CheckpointError if the command does not mean to go on with a run, or asks for another one.

        A command that names the seed of the run, and nothing else than it, asks for these very draws.
        """
        if not resume and arguments["random_seed"] is None:
            raise CheckpointError(
                f"{self.path} holds a run already: go on with it by --resume, or take another folder."
            )
        wanted = dict(arguments)
        if wanted["chain_ids"] is None:
            wanted["chain_ids"] = list(range(wanted["chains"]))
        # Who names no seed is content with that of the run.
        seed = arguments["random_seed"]
        wanted["random_seed"] = self.request["random_seed"] if seed is None else str(seed)
        # A model without hierarchies is sampled as it is written, whatever --centring says.
        if arguments["centring"] == "auto":
            wanted["centring"] = self.request["centring"]
        others = [option for name, option in _OPTIONS.items() if wanted[name] != self.request[name]]
        if others:
            raise CheckpointError(
                f"{self.path} holds a run with other values of {', '.join(others)}: go on with it by "
                f"`nutmill resume {self.path}`, or take another folder."
            )


def how_to_go_on(path: Path) -> str:
    """Say what to do with a run that was stopped, wherever it was."""
    from nutmill.checkpoint.manifest import has_begun

    return (
        f"to go on: nutmill resume {path}" if has_begun(path) else f"{path} holds no run yet: give the command again."
    )


def begun_run(path: Path) -> BegunRun | None:
    """Look into a folder; None if no run has begun there.

    Raises CheckpointError if one has, and what is known of it cannot be read.
    """
    from nutmill.checkpoint.manifest import MANIFEST, read_manifest

    return BegunRun(path, read_manifest(path)["request"]) if (path / MANIFEST).exists() else None
