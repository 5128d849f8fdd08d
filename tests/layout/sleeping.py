"""Workloads whose BLAS sleeps: their cost is a known function of the layout, whatever the machine does."""

import threading
import time
from contextlib import nullcontext


class Sleeping:
    """A workload that sleeps; `seconds(layout)` is what a unit of one chain takes.

    Attributes
    ----------
    layouts : list of Layout
        Those it was bound to, in order.
    most_at_once : int
        Workers that were ever in it at the same time.
    workers : set of int
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.layouts, self.workers, self.most_at_once = [], set(), 0
        self._inside, self._lock = 0, threading.Lock()

    def bound(self, applied):
        self.layouts.append(applied.layout)
        unit_s = self.seconds(applied.layout)

        def work(worker, count):
            with self._lock:
                self._inside += 1
                self.most_at_once = max(self.most_at_once, self._inside)
                self.workers.add(worker)
            time.sleep(count * unit_s)
            with self._lock:
                self._inside -= 1

        return nullcontext(work)

    def __call__(self, worker, count):
        raise AssertionError("a workload with `bound` is not called itself")
