"""A model's gradient under a layout that is applied: bound to its BLAS, to be sampled with or to be measured."""

from collections.abc import Callable

from nutmill.errors import LayoutError
from nutmill.layout.applied import Applied
from nutmill.native.binding import Binding
from nutmill.native.compiled import CompiledModel


def natives_for(compiled: CompiledModel, applied: Applied) -> list[Binding]:
    """Bind the model's code to the BLAS of a layout that is applied.

    Raises LayoutError if the model is called through a pointer, and so always calls the BLAS that SciPy brought.
    """
    if applied.layout.blas is None:
        return [compiled.binding]
    if not compiled.code.fused:
        raise LayoutError(
            "This model runs through a pointer, so its BLAS cannot be chosen: use a layout with blas=None."
        )
    if not compiled.code.native.blas_routines:
        return [compiled.binding]
    return [compiled.binding.with_blas(applied.blas.address)]


class Gradients:
    """The gradient of a model as a workload: `layout.burst.Bench` asks it for the code of each layout."""

    def __init__(self, compiled: CompiledModel):
        self._compiled = compiled
        self._natives: dict[str | None, Binding] = {}
        self._start = compiled.starts(None, 1, 0, jitter=True)[0]
        compiled.binding.repeated(self._start)(1)  # loads and binds what a measurement should not pay for

    def __call__(self, worker: int, count: int) -> None:
        """Evaluate with the code that all layouts share."""
        self._compiled.binding.repeated(self._start)(count)

    def bound(self, applied: Applied) -> Callable[[int, int], int]:
        """Give each worker of a layout its own code and buffers."""
        if applied.layout.blas not in self._natives:
            (self._natives[applied.layout.blas],) = natives_for(self._compiled, applied)
        native = self._natives[applied.layout.blas]
        loops = [native.repeated(self._start) for _ in range(applied.layout.chains_at_once)]
        return lambda worker, count: loops[worker](count)
