"""The line of progress: what it says, that only a terminal sees it, and that no thread redraws it."""

import os
import pty
import subprocess
import sys
import threading

from processes import environment

from nutmill.cli.console import MeasuringLine, open_progress
from nutmill.layout.layout import Layout
from nutmill.layout.search.measurements import Measurement, Timing

CODE = """
import threading
from nutmill.cli.console import open_progress
from nutmill.layout.search.measurements import Measurement, Timing
from nutmill.layout.layout import Layout
with open_progress(20.0) as progress:
    progress.say("Compiling it")
    progress.measured(Measurement(Layout(2), Timing(0.0123, 0.01), 0.1, "scan", 0, 1.0))
    n_threads = threading.active_count()
print(n_threads)
"""


def measurement(layout, seconds):
    return Measurement(layout, Timing(seconds, seconds), 0.1, "scan", 0, 1.0)


def test_the_line_says_what_was_measured_last():
    said = []
    progress = MeasuringLine(said.append, 20.0)
    progress.say("Measuring")
    for layout in (Layout(1), Layout(2), Layout(2)):
        progress.measured(measurement(layout, 0.00123))
    assert said[0] == "Measuring"
    assert said[-1].endswith("of 20 s: measurement 3, 2 chains x 1 BLAS thread: 1.23 ms")


def test_without_a_budget_it_names_none():
    said = []
    MeasuringLine(said.append, None).measured(measurement(Layout(1), 1.0))
    assert " of " not in said[0].split(":")[0]


def test_not_on_a_pipe(capfd):
    before = threading.active_count()
    with open_progress(1.0) as progress:
        progress.say("Compiling it")
        progress.measured(measurement(Layout(1), 1.0))
        assert threading.active_count() == before
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_and_without_a_thread():
    terminal, end = pty.openpty()
    options = {"env": environment(TERM="xterm", COLUMNS="100"), "text": True, "stdout": subprocess.PIPE}
    done = subprocess.run([sys.executable, "-c", CODE], stderr=end, check=True, timeout=60, **options)
    os.close(end)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert done.stdout == "1\n"
    assert "Compiling it" in shown and "measurement 1, 2 chains x 1 BLAS thread: 12.3 ms" in shown
