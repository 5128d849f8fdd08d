"""Says on stderr what a command is at, and that it still is, when that takes long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nutmill.progress.stderr import say

QUIET_S, REPEAT_S = 2.0, 30.0


@contextmanager
def stage(text: str, quiet_s: float = QUIET_S, repeat_s: float = REPEAT_S) -> Iterator[None]:
    """While in the `with`: a line after two seconds, and every half minute how long it has been."""
    begin, ended = time.monotonic(), threading.Event()

    def tell() -> None:
        wait_s = quiet_s
        while not ended.wait(wait_s):
            say(f"{text} ({time.monotonic() - begin:.0f} s)")
            wait_s = repeat_s

    teller = threading.Thread(target=tell, name="nutmill-stage", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
