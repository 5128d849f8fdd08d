"""What warmup has learned and where chains stand: saved, read, and given to another run."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from nutmill.errors import ModelError


class AdaptationState(NamedTuple):
    """Step sizes, metric and positions of chains, from which another run of the same or a similar model starts.

    Attributes
    ----------
    step_size : (chains,) float64
    variance : (chains, n_dim) float64
        Diagonal of the inverse metric, on the unconstrained scale.
    position : (chains, n_dim) float64
        The last draws, on the unconstrained scale.
    """

    step_size: np.ndarray
    variance: np.ndarray
    position: np.ndarray

    def save(self, path: str | os.PathLike) -> None:
        """Write an .npz file."""
        with open(path, "wb") as file:
            np.savez(file, **self._asdict())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            If the file is none.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as arrays:
                return cls(*(arrays[name] for name in cls._fields))
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path} holds no adaptation state: {error}.") from error

    def of_chains(self, chain_ids: Sequence[int]) -> Self:
        """Take a row for each chain; where there are more chains than rows, rows are used again."""
        rows = np.asarray(chain_ids, dtype=np.int64) % len(self.step_size)
        return type(self)(*(array[rows] for array in self))

    def check(self, n_dim: int) -> None:
        """Raise ModelError unless the state fits a model of `n_dim` unconstrained values."""
        n_rows = np.shape(self.step_size)[:1]
        wanted = (n_rows, (*n_rows, n_dim), (*n_rows, n_dim))
        if n_rows in ((), (0,)) or tuple(map(np.shape, self)) != wanted:
            raise ModelError(
                f"adaptation_state does not fit this model of {n_dim} unconstrained values: its arrays have the shapes "
                f"{', '.join(str(np.shape(array)) for array in self)}."
            )
        scales = np.concatenate([np.ravel(self.step_size), np.ravel(self.variance)])
        if not (np.isfinite(scales).all() and (scales > 0).all() and np.isfinite(self.position).all()):
            raise ModelError("adaptation_state must hold positive step sizes and variances, and finite positions.")
