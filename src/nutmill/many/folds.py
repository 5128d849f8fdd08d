"""Which observations are fitted and which are predicted: k folds, groups, the future, or pairs."""

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from nutmill.errors import ArgumentError

# Of the spawn keys of a seed: 0 to n are fits, (n, 2) their own; (0, 3) is that of ranks.
_OF_FOLDS = (0, 4)


class Fold(NamedTuple):
    """One fit of cross-validation."""

    is_fitted: np.ndarray  # (n,) bool: which observations the model is fitted to
    held_out: np.ndarray  # (m,) int64: numbers of those that are predicted, ascending


def leave_future_out(n: int, first: int, ahead: int = 1, every: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Predict what comes next from all that was before, again and again: folds of a series for `nutmill.refit`.

    Parameters
    ----------
    n : int
        Length of the series.
    first : int
        How many observations there are to begin with.
    ahead : int
        How many are predicted each time; fewer at the end of the series.
    every : int
        How many are added from one time to the next.

    Returns
    -------
    iterator of pairs of int arrays
        Numbers of the observations that are fitted, and of those that are predicted.

    Raises
    ------
    ArgumentError
        If there is nothing to predict.
    """
    for name, value in {"n": n, "first": first, "ahead": ahead, "every": every}.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < (name != "first"):
            raise ArgumentError(f"{name} must be a whole number from {int(name != 'first')} on, not {value!r}.")
    if first >= n:
        raise ArgumentError(f"first must be below the length of the series, {n}: nothing comes after {first}.")
    return ((np.arange(at), np.arange(at, min(at + ahead, n))) for at in range(first, n, every))


def folds_of(given: Any, n: int, seed: int) -> list[Fold]:
    """Make folds of `n` observations of what the user gave; raises ArgumentError with what is wrong with which fold.

    That is a number of folds, to which observations are dealt out by `seed`; labels, one for each observation, of which
    each is left out in turn; or pairs of what is fitted and what is predicted, numbers or truth values.
    """
    if isinstance(given, Integral) and not isinstance(given, bool):
        return list(_left_out(_dealt(int(given), n, seed)))
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"folds must be a number, a label for each observation, or pairs, not {given!r:.60}.")
    given = given if hasattr(given, "dtype") else list(given)
    if hasattr(given, "dtype") or (given and not isinstance(given[0], Sequence | np.ndarray)) or _are_texts(given):
        return list(_left_out(_labels(given, n)))
    found = [_fold(number, pair, n) for number, pair in enumerate(given)]
    if not found:
        raise ArgumentError("There are no folds: nothing to predict.")
    return found


def _dealt(count: int, n: int, seed: int) -> np.ndarray:
    """Deal observations out to folds whose sizes differ by one at most."""
    if not 2 <= count <= n:
        raise ArgumentError(f"folds must be from 2 to {n}, the number of observations, not {count}.")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=_OF_FOLDS))
    labels = np.arange(n) % count
    return labels if count == n else rng.permutation(labels)


def _are_texts(given: Sequence) -> bool:
    return bool(given) and all(isinstance(each, str) for each in given)


def _labels(given: Any, n: int) -> np.ndarray:
    labels = np.asarray(given).ravel()
    if len(labels) != n:
        raise ArgumentError(f"folds has {len(labels)} labels for {n} observations: give one for each.")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ArgumentError(f"folds has no label for observation {int(np.argmax(np.isnan(labels)))}.")
    found, numbers = np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels, return_inverse=True)
    if len(found) < 2:
        raise ArgumentError("folds has one label for all observations: nothing would be left to fit.")
    return numbers.ravel()


def _left_out(labels: np.ndarray) -> Iterator[Fold]:
    for label in range(labels.max() + 1):
        yield Fold(labels != label, np.flatnonzero(labels == label))


def _fold(number: int, pair: Any, n: int) -> Fold:
    try:
        fitted, held_out = (_numbers(part, n) for part in pair)
    except (TypeError, ValueError, IndexError) as error:
        raise ArgumentError(
            f"Fold {number} must be a pair of what is fitted and what is predicted: numbers from 0 to {n - 1}, or {n} "
            f"truth values each ({error})."
        ) from error
    if both := set(fitted.tolist()) & set(held_out.tolist()):
        raise ArgumentError(f"Fold {number} fits observation {min(both)}, which it is to predict.")
    if not held_out.size:
        raise ArgumentError(f"Fold {number} predicts nothing.")
    is_fitted = np.zeros(n, bool)
    is_fitted[fitted] = True
    return Fold(is_fitted, held_out)


def _numbers(part: Any, n: int) -> np.ndarray:
    """Numbers of observations, ascending, each once."""
    part = np.asarray(part)
    if part.dtype == bool and part.shape != (n,):
        raise ValueError(f"its truth values have shape {part.shape}")
    if part.size and part.dtype.kind not in "iub":
        raise ValueError(f"it holds {part.dtype}")
    return np.unique(np.arange(n)[part.astype(np.int64) if part.dtype != bool else part])
