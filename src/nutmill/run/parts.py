"""The folder of a run whose groups are sampled apart: where all chains start, and a run folder for each group."""

import io
import json
import os
from pathlib import Path

import numpy as np

from nutmill.errors import CheckpointError
from nutmill.run.adaptation import AdaptationState
from nutmill.run.clock import Clock
from nutmill.run.files import replace_state, telling
from nutmill.run.folder import ADAPTATION, PARTS, STARTS, STATUS, RunFolder, has_begun, read_groups, read_manifest
from nutmill.run.outcome import collect
from nutmill.run.progress_view import ChainProgress
from nutmill.run.results import Ending, Run, Settings


def begin_parts(
    folder: RunFolder,
    initial_points: np.ndarray,
    settings: Settings,
    seed: int,
    chain_ids: list[int],
    adaptation: AdaptationState | None,
) -> None:
    """Save where all chains start, and then the manifest: from here on the run can be resumed."""
    with telling(folder.path):
        (folder.path / PARTS).mkdir(exist_ok=True)
        if adaptation is not None:
            adaptation.save(folder.path / ADAPTATION)
        content = io.BytesIO()
        np.savez(content, initial_points=initial_points)
        replace_state(folder.path / STARTS, content.getvalue())
    folder.record(settings, seed, chain_ids, initial_points.shape[1])


def has_parts(path: str | os.PathLike) -> bool:
    """Whether the groups of a run are sampled apart."""
    return (Path(path) / STARTS).exists()


def load_starts(folder: RunFolder) -> tuple[np.ndarray, AdaptationState | None]:
    """Read where all chains start, (chains, n_dim) float64, and the adaptation that they begin with."""
    path = folder.path / STARTS
    try:
        with np.load(path, allow_pickle=False) as arrays:
            initial_points = arrays["initial_points"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged: restore it from a copy, or sample again.") from error
    kept = folder.path / ADAPTATION
    return initial_points, AdaptationState.load(kept) if kept.exists() else None


def part_path(path: Path, chain_ids: list[int]) -> Path:
    """Name the folder of a group."""
    return path / PARTS / f"{chain_ids[0]:05d}"


def read_part(path: Path, ending: Ending) -> Run | None:
    """Read what a group has drawn, as far as it is saved; draws stay in its files. None: it has not begun."""
    if not has_begun(path):
        return None
    groups = read_groups(path)
    clock = Clock()
    clock.stop(is_sampling=False)
    clock.resume(groups[0].keeper.facts.get("walls_s", (0.0, 0.0)))
    return collect(groups, None, Settings(**read_manifest(path)["settings"]), ending, clock)


def progress_of_part(path: Path) -> list[ChainProgress]:
    """Read how the chains of a group are doing; nothing if it is not known."""
    try:
        chains = json.loads((path / STATUS).read_bytes())["chains"]
    except OSError:
        return []
    return [
        ChainProgress(
            chain=chain["chain"],
            phase=chain["phase"],
            draw=chain["draw"],
            total=chain["total"],
            step_size=chain["step_size"] or np.nan,
            n_gradients=chain["gradients"],
            divergences=chain["divergences"],
            n_steps=0,
        )
        for chain in chains
    ]
