"""Runs by the name of their folder, or of a folder that holds several."""

from pathlib import Path

from nutmill.errors import NutmillError


def runs_in(folder: Path) -> list[Path]:
    """Find the runs of a folder: itself, or those in it."""
    from nutmill.checkpoint.manifest import MANIFEST

    if (folder / MANIFEST).exists():
        return [folder]
    runs = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not runs:
        raise NutmillError(f"{folder} holds no run that has begun.")
    return runs
