"""Where chains start: jittered support points or given values, or what a search finds where none of these is fine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain as chain_of
from typing import NamedTuple

import numpy as np

from nutmill.errors import ModelError
from nutmill.native.binding import Binding
from nutmill.native.origin import Guide, Term

# Of the usual jitter; where one of them is fine, nothing below matters.
MAX_TRIES = 500

_KEPT = 3  # tries from which to go on
_SCALES = (*(4.0 ** -np.arange(1, 4)), *(4.0 ** np.arange(1, 16)))
_TRIES_OF_A_SCALE = 60
_PRIOR_TRIES = 100
_MENDING_TRIES = 4000, 100  # at most, and at least
_MENDING_WORK = 5e7  # tries times values of parameters and data: an evaluation by Python takes its time
# Such tries without progress, at most and at least; tries times operations of Python: that is a few seconds.
_PATIENCE = 4000, 100
_PATIENCE_WORK = 2e5
_REACH = -2.0, 3.0  # powers of 4
# Of a gradient: chains that start at 1e16 have not come down when warmup ends, from 1e40 on no step is short enough.
_STEEPEST = 1e12
_CLIMBS, _CLIMBING_STEPS = 50, 2.0 ** np.arange(-20, 5)
_SHOWN = 4


class Start(NamedTuple):
    """One chain's start on the unconstrained scale, before jitter."""

    position: np.ndarray  # (n_dim,) float64
    given: np.ndarray  # (n_dim,) bool: values that the user gave; they are not jittered


class Failed(NamedTuple):
    """No start was found: the status of the last of so many tries."""

    status: int
    n_tries: int


class _Slope(NamedTuple):
    """A try whose gradient is finite; its log density need not be."""

    position: np.ndarray
    gradient: np.ndarray
    log_density: float


class Search:
    """Looks for the starts of all chains of a run.

    `ask_guide` gives a Guide; it is called once jitter has found nothing.
    """

    def __init__(self, binding: Binding, ask_guide: Callable[[], Guide]):
        self._binding = binding
        self._ask_guide = ask_guide

    @cached_property
    def _guide(self) -> Guide:
        return self._ask_guide()

    def find(
        self, start: Start, seed: int, chain: int, *, jitter: bool, from_prior: bool = False
    ) -> np.ndarray | Failed:
        """Jitter a start by U(-1, 1) until density and gradient are finite, and look further if they never are.

        What is found is a matter of model, seed and chain. Without jitter there is one try. With `from_prior`, draws
        from the prior come first.

        Raises
        ------
        ModelError
            If draws from the prior are asked for, and there are none.

        Returns
        -------
        (n_dim,) float64, or what became of it
        """
        # The sampler's own stream has the spawn key (chain,); this one must not repeat it.
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(chain, 1)))
        moved = jitter & ~start.given
        slopes: list[_Slope] = []
        edges: list[np.ndarray] = []
        status, n_tries = 0, 0
        candidates = self._candidates(start, moved, rng, slopes, edges)
        if from_prior:
            candidates = chain_of(self._drawn(start, rng), candidates)
        for position in candidates:
            n_tries += 1
            status, lp, gradient = self._binding.density(position)
            if status == 0 and np.isfinite(gradient).all():
                slope = _Slope(position, gradient, lp)
                if np.isfinite(lp):
                    return self._climbed(slope, moved)
                slopes.append(slope)
            elif status == 0 and np.isfinite(lp):
                edges.append(position)
        return Failed(status, n_tries)

    def _candidates(self, start: Start, moved: np.ndarray, rng: np.random.Generator, slopes: list, edges: list):
        """Positions to try, in this order; `slopes` and `edges` are filled with what is seen at the first of them."""
        for _ in range(MAX_TRIES if moved.any() else 1):
            yield start.position + np.where(moved, rng.uniform(-1.0, 1.0, len(moved)), 0.0)
        if not moved.any():
            return
        yield from _off_the_edge(edges[:_KEPT], moved, rng)
        yield from _along_gradients(slopes[:_KEPT], moved)
        # What a file finds as well comes before what only a graph knows.
        yield from _near_and_far(start, moved, self._binding.shapes, rng)
        yield from self._from_prior(start, moved, rng)
        yield from self._mended(start, moved, rng)

    def _climbed(self, slope: _Slope, moved: np.ndarray) -> np.ndarray:
        """Go uphill from where the density falls so steeply that no chain gets away, as exp(1000 x) does at x = 1.

        Jitter of the coefficient of a predictor with values of hundreds comes to such places.
        """
        for _ in range(_CLIMBS):
            direction = np.where(moved, slope.gradient, 0.0)
            if (steepest := np.abs(direction).max(initial=0.0)) <= _STEEPEST:
                break
            tries = (slope.position + step * (direction / steepest) for step in _CLIMBING_STEPS)
            higher = [found for found in map(self._slope_at, tries) if found and found.log_density > slope.log_density]
            if not higher:
                break
            slope = max(higher, key=lambda found: found.log_density)
        return slope.position

    def _slope_at(self, position: np.ndarray) -> _Slope | None:
        """Evaluate a position; None where anything is not finite."""
        status, lp, gradient = self._binding.density(position)
        is_fine = status == 0 and np.isfinite(lp) and np.isfinite(gradient).all()
        return _Slope(position, gradient, lp) if is_fine else None

    def _drawn(self, start: Start, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Draw what was not given from the prior, for a chain to start there."""
        if self._guide.prior is None:
            raise ModelError(
                'starts="prior" needs a PyMC model whose prior can be drawn from; a model from a file has no prior '
                "draws: give starts as initvals, or sample before saving."
            )
        for drawn in _prior_draws(self._guide.prior, rng):
            if drawn is not None:
                yield np.where(~start.given & np.isfinite(drawn), drawn, start.position)

    def _from_prior(self, start: Start, moved: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
        if self._guide.prior is None:
            return
        for number, drawn in enumerate(_prior_draws(self._guide.prior, rng)):
            jitter = rng.uniform(-1.0, 1.0, len(moved)) * (number % 2)  # flat variables keep their place otherwise
            if drawn is not None:
                yield np.where(moved & np.isfinite(drawn), drawn + jitter, start.position)

    def _mended(self, start: Start, moved: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Change a position step by step, such that ever fewer elements of the log density are not finite there."""
        if self._guide.misses is None:
            return
        centre, changes = _centre(start), _Changes(moved, self._binding.shapes, rng)
        position = centre + np.where(moved, rng.uniform(-1.0, 1.0, len(moved)), 0.0)
        n_misses = self._guide.misses(self._binding.pieces(position))
        size = len(moved) + sum(array.size for array in self._binding.record.arrays)
        most, fewest = _MENDING_TRIES
        longest, shortest = _PATIENCE
        patience = int(np.clip(_PATIENCE_WORK / max(1, self._guide.n_operations), shortest, longest))
        progress = 0
        for number in range(int(np.clip(_MENDING_WORK / size, fewest, most))):
            if number - progress > patience:
                return
            proposed = changes.of(position, centre, number)
            n_proposed = self._guide.misses(self._binding.pieces(proposed))
            if n_proposed < n_misses:
                progress = number
            if n_proposed <= n_misses:
                position, n_misses = proposed, n_proposed
                if n_misses == 0:
                    yield position


class _Changes(NamedTuple):
    """Changes of a position, some of which fit most ways in which values may have to fit each other."""

    moved: np.ndarray
    shapes: Sequence[tuple[int, ...]]
    rng: np.random.Generator

    def of(self, position: np.ndarray, centre: np.ndarray, number: int) -> np.ndarray:
        """Move one value, or all of a parameter, or those that come after one, which keep their distances."""
        blocks, index = _blocks(self.shapes), np.arange(len(position))
        place = self.rng.choice(np.flatnonzero(self.moved))
        reach = 4.0 ** self.rng.uniform(*_REACH)
        mine = self.moved & (blocks == blocks[place])
        if number % 8 == 0:
            return np.where(mine, centre + self.rng.uniform(-reach, reach, len(position)), position)
        chosen = index == place if number % 2 else mine & (index >= place)
        origin = centre if number % 4 == 1 else position
        return np.where(chosen, origin + self.rng.uniform(-reach, reach), position)


def _prior_draws(prior: Callable, rng: np.random.Generator) -> Iterator[np.ndarray | None]:
    """Positions drawn from the prior; None in the place of a draw that there is not."""
    for _ in range(_PRIOR_TRIES):
        pieces = prior(int(rng.integers(2**31)))
        yield None if pieces is None else np.concatenate([np.ravel(piece) for piece in pieces])


def _off_the_edge(edges: Sequence[np.ndarray], moved: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Jitter tries whose log density is finite, but whose gradient is not."""
    for position in edges:
        for scale in 4.0 ** -np.arange(10):
            yield position + np.where(moved, rng.uniform(-scale, scale, len(moved)), 0.0)


def _along_gradients(slopes: Sequence[_Slope], moved: np.ndarray) -> Iterator[np.ndarray]:
    """Go uphill from tries; and downhill, because the slope of a logarithm of negative numbers leads away from zero."""
    for position, gradient, _ in slopes:
        direction = np.where(moved, gradient, 0.0)
        if (steepest := np.abs(direction).max()) > 0.0:
            for step in 2.0 ** np.arange(-6, 11) / steepest:
                yield position + step * direction
                yield position - step * direction


def _near_and_far(
    start: Start, moved: np.ndarray, shapes: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Jitter by less and by more, all parameters or some, the others by U(-1, 1)."""
    blocks, centre = _blocks(shapes), _centre(start)
    for scale in _SCALES:
        for number in range(_TRIES_OF_A_SCALE):
            some = rng.random(len(shapes)) < 0.5, np.arange(len(shapes)) == rng.integers(len(shapes))
            reached = (np.ones(len(shapes), bool), *some)[number % 3]
            reach = np.where(reached, scale, 1.0)[blocks]
            yield centre + np.where(moved, reach * rng.uniform(-1.0, 1.0, len(moved)), 0.0)


def _blocks(shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Number of the parameter of each value."""
    return np.repeat(np.arange(len(shapes)), [int(np.prod(shape)) for shape in shapes])


def _centre(start: Start) -> np.ndarray:
    return np.where(np.isfinite(start.position), start.position, 0.0)


def flatten(values: Sequence[np.ndarray], names: Sequence[str], given: Mapping[str, object]) -> Start:
    """Lay initial values of all parameters side by side.

    Raises ModelError if a value that the user gave lies outside the support of its variable.
    """
    for name, value in zip(names, values, strict=True):
        if name in given and not np.isfinite(value).all():
            raise ModelError(
                f"The initval of {given[name]} lies outside its support: {name} would be "
                f"{np.ravel(value)[:3]}. Choose a value strictly inside."
            )
    sizes = [np.size(value) for value in values]
    position = np.concatenate([np.ravel(value).astype(np.float64) for value in values])
    is_given = np.repeat([name in given for name in names], sizes)
    return Start(position, is_given)


def failure(
    status_sentence: str | None,
    names: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    gradient: np.ndarray,
    terms: Mapping[str, Term],
) -> str:
    """Say why no start was found: a line for each term and each gradient that is not finite, what a status means."""
    lines = [f"  {name:<30} {t.failure or f'log density {t.log_density}'}" for name, t in terms.items()]
    first = 0
    for name, shape in zip(names, shapes, strict=True):
        size = int(np.prod(shape))
        bad = np.flatnonzero(~np.isfinite(gradient[first : first + size]))
        first += size
        if len(bad):
            index = tuple(int(i) for i in np.unravel_index(bad[0], shape))
            where = f" in {len(bad)} of {size} values, first {index}" if shape else ""
            lines.append(f"  {name:<30} gradient not finite{where}")
    if status_sentence:
        lines.append(f"  status: {status_sentence}")
    return "\n".join(lines)


def shown(name: str, value: np.ndarray) -> str:
    """Write the value of a variable, of a long one the first few."""
    value = np.asarray(value)
    if value.ndim == 0:
        return f"{name} = {value:.6g}"
    first = ", ".join(f"{element:.6g}" for element in value.ravel()[:_SHOWN])
    return f"{name} = [{first}{', ...' if value.size > _SHOWN else ''}]"
