"""Compile caches of a cell: empty, those of an installation that never saw the model, or warm."""

import shutil
from pathlib import Path

# In the order in which a model meets them. Each sampler has folders of its own: none helps another.
EMPTY, INSTALLED, WARM = "empty", "installed", "warm"
STATES = (EMPTY, INSTALLED, WARM)


class Caches:
    """The cache folders of one run of the suite, below `root`."""

    def __init__(self, root: Path):
        self.root = root

    def primed(self, sampler: str) -> Path:
        """Return the folder in which `sampler` once sampled the priming model."""
        folder = self.root / "installed" / sampler
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def folder(self, model: str, sampler: str, state: str) -> Path:
        """Return the folder for one cell; the warm one is what an earlier cell has filled."""
        if state == WARM and not self._begun_empty(model, sampler).exists():
            return self.left(model, sampler)
        if state == INSTALLED:
            folder = self.left(model, sampler)
            shutil.rmtree(folder, ignore_errors=True)
            return Path(shutil.copytree(self.primed(sampler), folder))
        return self._begun_empty(model, sampler)

    def _begun_empty(self, model: str, sampler: str) -> Path:
        return self.root / "cells" / sampler / model

    def left(self, model: str, sampler: str) -> Path:
        """Return the folder that the last cell in the state `INSTALLED` has filled with its model."""
        return self.root / "copies" / sampler / model
