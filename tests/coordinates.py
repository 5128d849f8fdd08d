"""A compiled model in coordinates between centred and not, called by arrays."""

import ctypes

import numpy as np

from nutmill import CompiledModel
from nutmill.nuts.state import TURNING


class At:
    """A model in coordinates of given centrednesses."""

    def __init__(self, compiled: CompiledModel, centredness: np.ndarray):
        self.binding, self.centredness = compiled.binding, np.array(centredness, dtype=np.float64)
        self.record = self.binding.reading(self.centredness)
        words = [ctypes.c_int64] * 4
        self._density = ctypes.CFUNCTYPE(ctypes.c_int32, *words)(compiled.code.address("density"))
        self._sites = ctypes.CFUNCTYPE(ctypes.c_int32, *words)(compiled.code.address("sites"))

    def density(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        lp, gradient = np.zeros(1), np.zeros(len(x))
        assert self._density(x.ctypes.data, lp.ctypes.data, gradient.ctypes.data, self.record.address) == 0
        return lp[0], gradient

    def located(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        location, log_scale = np.zeros(len(x)), np.zeros(len(x))
        assert self._sites(x.ctypes.data, location.ctypes.data, log_scale.ctypes.data, self.record.address) == 0
        return location, log_scale

    def moved(self, x: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, float]:
        """Coordinates at other centrednesses, and the logarithm of the volume's change."""
        location, log_scale = self.located(x)
        here, there = (np.sqrt(1.0 - c + c * np.exp(2.0 * log_scale)) for c in (self.centredness, to))
        moved = to * location + (x - self.centredness * location) * there / here
        return self._turned(moved / there, to) * there, float(np.log(there / here).sum())

    def _turned(self, deviates: np.ndarray, to: np.ndarray) -> np.ndarray:
        """Reflect the mean of few effects to their first, or back, where they are turned here or there."""
        out, written = deviates.copy(), self.binding.written
        for site in np.unique(self.binding.sites[self.binding.joint == TURNING]):
            own = np.flatnonzero(self.binding.sites == site)
            if 2 <= len(own) <= 16 and (self.centredness != written)[own].any() != (to != written)[own].any():
                normal = np.eye(len(own))[0] - 1.0 / np.sqrt(len(own))
                out[own] = (np.eye(len(own)) - 2.0 * np.outer(normal, normal) / (normal @ normal)) @ deviates[own]
        return out
