"""A model's gradient under a layout that is applied: bound to its BLAS, to be sampled with or to be measured."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nutmill.errors import LayoutError
from nutmill.layout.applied import Applied
from nutmill.layout.layout import Layout
from nutmill.native.binding import Binding
from nutmill.native.compiled import CompiledModel
from nutmill.native.teams import teams

_log = logging.getLogger("nutmill")


@contextmanager
def natives_for(compiled: CompiledModel, applied: Applied) -> Iterator[list[Binding]]:
    """Bind the model's code to the BLAS of a layout that is applied, and have threads at hand for its tiles.

    Raises LayoutError if the model is called through a pointer, and so always calls the BLAS that SciPy brought.
    """
    with teams(applied.layout.chains_at_once, tile_threads_of(compiled, applied.layout)) as pool:
        yield [_helped(with_blas_of(compiled, applied), pool)]


def _helped(native: Binding, pool: int) -> Binding:
    return native.with_teams(pool) if pool else native


def with_blas_of(compiled: CompiledModel, applied: Applied) -> Binding:
    """Bind the model's code to the BLAS of a layout that is applied; raises LayoutError if it cannot be chosen."""
    if applied.layout.blas is None:
        return compiled.binding
    if not compiled.code.fused:
        raise LayoutError(
            "This model runs through a pointer, so its BLAS cannot be chosen: use a layout with blas=None."
        )
    if not compiled.code.native.blas_routines:
        return compiled.binding
    return compiled.binding.with_blas(applied.blas.address)


def tile_threads_of(compiled: CompiledModel, layout: Layout) -> int:
    """How many threads share the tiles of a gradient of the model under a layout."""
    return layout.tile_threads if compiled.code.has_tiles else 1


def idle_threads(compiled: CompiledModel, layout: Layout) -> list[str]:
    """Say so where a layout has tile threads for a model without tiles."""
    if tile_threads_of(compiled, layout) == layout.tile_threads:
        return []
    sentence = (
        f"tile_threads={layout.tile_threads} changes nothing for this model: it does not go through rows of data in "
        "tiles, so that each gradient is computed by one thread."
    )
    _log.warning(sentence)
    return [sentence]


class Gradients:
    """The gradient of a model as a workload: `layout.search.burst.Bench` asks it for the code of each layout."""

    def __init__(self, compiled: CompiledModel):
        self._compiled = compiled
        self._natives: dict[str | None, Binding] = {}
        self._start = compiled.starts(None, 1, 0, jitter=True)[0]
        compiled.binding.repeated(self._start)(1)  # loads and binds what a measurement should not pay for

    def __call__(self, worker: int, count: int) -> None:
        """Evaluate with the code that all layouts share."""
        self._compiled.binding.repeated(self._start)(count)

    @contextmanager
    def bound(self, applied: Applied) -> Iterator[Callable[[int, int], int]]:
        """Give each worker of a layout its own buffers."""
        layout = applied.layout
        if layout.blas not in self._natives:
            self._natives[layout.blas] = with_blas_of(self._compiled, applied)
        with teams(layout.chains_at_once, tile_threads_of(self._compiled, layout)) as pool:
            native = _helped(self._natives[layout.blas], pool)
            loops = [native.repeated(self._start) for _ in range(layout.chains_at_once)]
            yield lambda worker, count: loops[worker](count)
