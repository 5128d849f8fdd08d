"""Measures a long run that writes its draws to disk: how fast, and whether memory stays flat."""

import json
import sys
import threading
import time
from pathlib import Path

from benchmarks.models import radon
from nutmill import sample_numba
from nutmill.comparison.resources import status_mb, timed

CHAINS, CORES = 4, 2


def main(request: str, answer: str) -> None:
    """Sample as the JSON text `request` says, watch the process, and write what was seen to the file `answer`.

    The request holds `folder`, of the run, `seconds`, after which the run is ended, and `draws`, of each chain: more
    than there will be. Memory is what the process does not share with files, read every second while it samples.
    """
    import nutmill

    cell = json.loads(request)
    compiled = nutmill.compile_model(radon.build())
    size = {"draws": cell["draws"], "chains": CHAINS, "cores": CORES, "random_seed": 1}
    quiet = {"progressbar": False, "compute_convergence_checks": False}
    with MemoryWatch() as watch:
        options = {"checkpoint": cell["folder"], "max_time": cell["seconds"], **size, **quiet}
        _, spent = timed(lambda: sample_numba(compiled, **options))
    # When sampling has ended, the result is made of the draws; that is not part of the question.
    seen = [(second, size_mb) for second, size_mb in watch.seen if second <= cell["seconds"]]
    n_bytes = sum(path.stat().st_size for path in Path(cell["folder"]).rglob("*") if path.is_file())
    measured = {"memory": seen, "mb_per_s": n_bytes / 1e6 / cell["seconds"], "whole_call": spent._asdict()}
    Path(answer).write_text(json.dumps(measured))


class MemoryWatch:
    """Reads the memory of this process every second within a `with` block: pairs of seconds and MB in `seen`."""

    def __init__(self, interval_s: float = 1.0):
        self.seen: list[tuple[float, float]] = []
        self._interval_s = interval_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._begin_s = time.monotonic()
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._interval_s):
            self._read()

    def _read(self) -> None:
        self.seen.append((time.monotonic() - self._begin_s, status_mb("RssAnon")))


if __name__ == "__main__":
    main(*sys.argv[1:])
