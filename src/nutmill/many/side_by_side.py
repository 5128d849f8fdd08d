"""Work on one item after the other in threads; results come in the order of the items."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Items go out in batches that take about so long: handing one over takes as long as a twentieth of a short fit.
_BATCH_S = 0.05
_MOST = 64


def in_order(
    work: Callable[[_Item], _Result],
    items: Iterator[_Item],
    threads: int,
    on_thread: Callable[[], object] | None = None,
    stop: Callable[[], object] | None = None,
) -> Iterator[_Result]:
    """Give the result of each item, in their order; few are read ahead of what has been given.

    Items are read in the calling thread. Where reading fails, the results of those before come first, and then the
    error is raised. `on_thread` is called first in each of the threads, `stop` at the end, and where results are no
    longer wanted: it lets `work` under way end soon.
    """
    is_over = threading.Event()

    def worked(batch: list[_Item]) -> tuple[list[_Result], float]:
        begin = time.perf_counter()
        results = [work(item) for item in batch if not is_over.is_set()]
        return results, (time.perf_counter() - begin) / len(batch)

    waiting: deque[Future[tuple[list[_Result], float]]] = deque()
    reader, size = _Reader(items), 1
    executor = ThreadPoolExecutor(threads, thread_name_prefix="nutmill-many", initializer=on_thread)
    try:
        while True:
            while len(waiting) < 2 * threads and (batch := reader.read(size)):
                waiting.append(executor.submit(worked, batch))
            if not waiting:
                break
            results, each_s = waiting.popleft().result()
            size = max(1, min(_MOST, 2 * size, int(_BATCH_S / max(each_s, 1e-9))))
            yield from results
    finally:
        is_over.set()
        if stop is not None:
            stop()
        executor.shutdown(cancel_futures=True)
    if reader.error is not None:
        raise reader.error


class _Reader:
    """Reads items until there are no more, or reading fails."""

    def __init__(self, items: Iterator):
        self._items = items
        self.error: Exception | None = None

    def read(self, count: int) -> list:
        """Read so many items, fewer at the end."""
        batch: list = []
        try:
            while self.error is None and len(batch) < count:
                batch.append(next(self._items))
        except StopIteration:
            pass
        except Exception as error:
            self.error = error
        return batch
