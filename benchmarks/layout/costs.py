"""Times what layouts cost besides the sweep: applying one, and the command that describes the machine."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from nutmill.layout.applied import apply_layout

TIMES = 9


def main(request: str, answer: str) -> None:
    """Write medians, in seconds, to the file `answer`; `request` holds nothing."""
    Path(answer).write_text(json.dumps({"apply_s": apply_s(), "topology_command_s": topology_command_s()}))


def apply_s() -> float:
    """Time of entering and leaving a layout, once the libraries of the process are known."""
    import scipy.linalg  # noqa: F401  (the library whose threads are set)

    from nutmill import Layout

    layout = Layout(2)
    _enter(layout)  # finds the libraries of the process
    return statistics.median(_timed(lambda: _enter(layout)) for _ in range(TIMES))


def _enter(layout) -> None:
    with apply_layout(layout):
        pass


def topology_command_s() -> float:
    """Time of the whole command `nutmill topology` without the libraries, which are tried in processes of their own."""
    command = shutil.which("nutmill", path=Path(sys.executable).parent)
    return statistics.median(
        _timed(lambda: subprocess.run([command, "topology", "--no-blas"], check=True, capture_output=True))
        for _ in range(TIMES)
    )


def _timed(work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main(*sys.argv[1:])
