"""What warmup has learned and where chains stand: saved, read, and given to another run."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from nutmill.errors import ModelError
from nutmill.files import read_plain

# Draws under a metric whose directions are not orthonormal would not be those of the posterior.
_ORTHOGONAL = 1e-8


def arrays_in(content: bytes, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Read arrays of float64 from the content of an .npz file; None if it is none, or lacks one."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in names}
    # Of a damaged file zipfile, zlib and NumPy raise a dozen kinds of errors between them.
    except Exception:
        return None
    return arrays if all(array.dtype == np.float64 for array in arrays.values()) else None


class AdaptationState(NamedTuple):
    """Step sizes, metric and positions of chains, from which another run of the same or a similar model starts.

    Attributes
    ----------
    step_size : (chains,) float64
    variance : (chains, n_dim) float64
        Diagonal of the inverse metric, on the unconstrained scale, in the coordinates of the centrednesses.
    position : (chains, n_dim) float64
        The last draws, on the unconstrained scale.
    directions, stretch : (chains, rank, n_dim) float64, (chains, rank) float64
        What the inverse metric has beside its diagonal: with S the square root of that, directions S u_k with
        orthonormal u_k, each of which is stretched by a factor. The rank may be 0.
    centredness : (chains, n_dim) float64, or (chains, 0)
        Of each value, between 0 and 1, at a scale of 1, what the chains have chosen (`docs/theory.md`): what variance
        and directions are of. None: those of the model as it is written.
    """

    step_size: np.ndarray
    variance: np.ndarray
    position: np.ndarray
    directions: np.ndarray
    stretch: np.ndarray
    centredness: np.ndarray

    def coordinates(self, written: np.ndarray) -> np.ndarray:
        """Give the coordinates of a group, which are those of its first chain.

        Parameters
        ----------
        written : (n_dim,) float64
            Centrednesses of the model as it is written.

        Returns
        -------
        (n_dim,) float64
            Centrednesses; `written` if the state has none.
        """
        return self.centredness[0] if self.centredness.shape[1] else written

    def trimmed(self) -> Self:
        """Leave out directions that no chain uses.

        Returns
        -------
        AdaptationState
            With as many rows of `directions` and `stretch` as the chain that uses most.
        """
        rank = int((self.stretch != 1.0).sum(axis=1).max(initial=0))
        return self._replace(directions=self.directions[:, :rank], stretch=self.stretch[:, :rank])

    def to_bytes(self) -> bytes:
        """Give the content of an .npz file.

        Returns
        -------
        bytes
            The arrays by name, float64.
        """
        content = io.BytesIO()
        arrays: dict[str, Any] = {name: np.asarray(array, np.float64) for name, array in self._asdict().items()}
        np.savez(content, **arrays)
        return content.getvalue()

    def save(self, path: str | os.PathLike) -> None:
        """Write an .npz file.

        Parameters
        ----------
        path
            Of the file; one that is there is replaced.
        """
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path
            Of the file.

        Returns
        -------
        AdaptationState

        Raises
        ------
        ModelError
            If the file cannot be read, or is something else.
        """
        try:
            content = read_plain(Path(path), follow=True)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
        return cls.from_bytes(content, path)

    @classmethod
    def from_bytes(cls, content: bytes, path: str | os.PathLike) -> Self:
        """Read the content of a file.

        Parameters
        ----------
        content : bytes
            What `to_bytes` gave.
        path
            How to name the file where it holds no state.

        Returns
        -------
        AdaptationState

        Raises
        ------
        ModelError
            If it holds no adaptation state.
        """
        arrays = arrays_in(content, cls._fields)
        if arrays is None and (arrays := arrays_in(content, cls._fields[:-1])):  # of a version without centring
            arrays["centredness"] = np.zeros((len(arrays["position"]), 0))
        if arrays is None:
            raise ModelError(f"{path} holds no adaptation state, or it is damaged: take one that was saved.")
        return cls(**arrays)

    def of_chains(self, chain_ids: Sequence[int]) -> Self:
        """Take a row for each chain; where there are more chains than rows, rows are used again.

        Parameters
        ----------
        chain_ids : sequence of int

        Returns
        -------
        AdaptationState
            Of these chains, in this order.
        """
        rows = np.asarray(chain_ids, dtype=np.int64) % len(self.step_size)
        return type(self)(*(array[rows] for array in self))

    def check(self, n_dim: int) -> None:
        """Refuse a state that does not fit a model.

        Parameters
        ----------
        n_dim : int
            Unconstrained values of the model.

        Raises
        ------
        ModelError
            If shapes differ, or the values are none that a run could have learned.
        """
        n_rows = np.shape(self.step_size)[:1]
        rank = np.shape(self.stretch)[1:2]
        wanted = (n_rows, (*n_rows, n_dim), (*n_rows, n_dim), (*n_rows, *rank, n_dim), (*n_rows, *rank))
        centred = np.shape(self.centredness)
        fits = tuple(map(np.shape, self[:-1])) == wanted and centred in ((*n_rows, 0), (*n_rows, n_dim))
        if n_rows in ((), (0,)) or not fits:
            raise ModelError(
                f"adaptation_state does not fit this model of {n_dim} unconstrained values: its arrays have the shapes "
                f"{', '.join(str(np.shape(array)) for array in self)}."
            )
        scales = np.concatenate([np.ravel(array) for array in (self.step_size, self.variance, self.stretch)])
        if not (np.isfinite(scales).all() and (scales > 0).all() and np.isfinite(self.position).all()):
            raise ModelError(
                "adaptation_state must hold positive step sizes, variances and stretches, and finite positions."
            )
        if not ((self.centredness >= 0.0) & (self.centredness <= 1.0)).all():
            raise ModelError("adaptation_state must hold centrednesses between 0 and 1.")
        if not self._is_orthogonal():
            raise ModelError(
                "adaptation_state must hold directions that are orthonormal once divided by the square roots of the "
                "variances, or zero."
            )

    def _is_orthogonal(self) -> bool:
        units = self.directions / np.sqrt(self.variance)[:, None, :]
        products = units @ units.swapaxes(1, 2)
        expected = np.eye(self.stretch.shape[1]) * (self.stretch != 1.0)[:, :, None]
        return bool(np.allclose(products, expected, rtol=0.0, atol=_ORTHOGONAL))
