"""How long JAX compiles within a call that also samples."""

import time


class CompileClock:
    """Adds up the time in which JAX traced, lowered or compiled something; functions within functions count once."""

    def __init__(self):
        self._spans: list[tuple[float, float]] = []

    def note(self, event: str, seconds: float, **_) -> None:
        """Take in an event of `jax.monitoring` that has just ended."""
        if event.startswith("/jax/core/compile/"):
            end = time.monotonic()
            self._spans.append((end - seconds, end))

    def seconds(self) -> float:
        """Return the length of the union of all spans."""
        total, reached = 0.0, float("-inf")
        for begin, end in sorted(self._spans):
            total += max(end - max(begin, reached), 0.0)
            reached = max(reached, end)
        return total


def started_clock() -> CompileClock:
    """Give a clock that runs from now until the process ends."""
    from jax import monitoring

    clock = CompileClock()
    monitoring.register_event_duration_secs_listener(clock.note)
    return clock
