"""The folder of a run whose groups are sampled apart: where all chains start, and a run folder for each group."""

import io
from pathlib import Path

import numpy as np

from nutmill.checkpoint.folder import RunFolder
from nutmill.checkpoint.manifest import ADAPTATION, PARTS, STARTS, has_begun, read_manifest
from nutmill.checkpoint.records import as_checkpoint_error
from nutmill.errors import CheckpointError
from nutmill.progress.lines import ChainProgress
from nutmill.progress.status import read_status
from nutmill.run.adaptation import arrays_in
from nutmill.run.checkpoints import Starts, adaptation_in, read_groups, settings_in
from nutmill.run.collect import collect
from nutmill.run.run import Clock, Ending, Run, Settings


def begin_parts(folder: RunFolder, starts: Starts, settings: Settings) -> None:
    """Save where all chains start, and then the manifest: from here on the run can be resumed."""
    with as_checkpoint_error(folder.path):
        (folder.path / PARTS).mkdir(exist_ok=True)
    if starts.adaptation is not None:
        folder.keep(ADAPTATION, starts.adaptation.to_bytes())
    content = io.BytesIO()
    np.savez(content, initial_points=starts.positions)
    folder.keep(STARTS, content.getvalue())
    folder.record(settings._asdict(), starts.seed, list(starts.chain_ids or ()), starts.positions.shape[1])


def load_starts(folder: RunFolder) -> Starts:
    """Read where all chains of a run start, and what they begin with."""
    arrays = arrays_in(folder.kept(STARTS), ["initial_points"])
    shape = (len(folder.chain_ids), folder.manifest["n_dim"])
    if arrays is None or arrays["initial_points"].shape != shape or not np.isfinite(arrays["initial_points"]).all():
        raise CheckpointError(f"{folder.path / STARTS} is damaged: restore it from a copy, or sample again.")
    seed = int(folder.manifest["seed"])
    return Starts(arrays["initial_points"], seed, folder.chain_ids, adaptation_in(folder), folder)


def read_part(path: Path, chain_ids: list[int], ending: Ending) -> Run | None:
    """Read what a group has drawn, as far as it is saved; draws stay in its files. None: it has not begun."""
    if not has_begun(path):
        return None
    groups = read_groups(path, chain_ids)
    clock = Clock()
    clock.stop(is_sampling=False)
    clock.resume(groups[0].files.facts.get("walls_s", (0.0, 0.0)))
    return collect(groups, settings_in(read_manifest(path)), ending, clock)


def progress_of_part(path: Path, settings: Settings) -> list[ChainProgress]:
    """Read how the chains of a group are doing; nothing if it is not known."""
    try:
        known = read_status(path)
    except CheckpointError:
        return []
    return [
        ChainProgress(
            chain=chain["chain"],
            phase=chain["phase"],
            draw=chain["draw"],
            total=chain["total"],
            limit=settings.longest_warmup if chain["total"] is None else chain["total"],
            step_size=chain["step_size"] or np.nan,
            n_gradients=chain["gradients"],
            divergences=chain["divergences"],
        )
        for chain in ([] if known is None else known["chains"])
    ]
