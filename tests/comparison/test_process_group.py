"""No process outlives whoever started it: time limits, signals, and a kill that nothing can catch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nutmill.comparison.process_group import run_in_group

# A command that heeds no signal, and starts another that heeds none.
STUBBORN = """
trap '' TERM INT HUP
sh -c "trap '' TERM INT HUP; while :; do sleep 0.05; done" &
echo $$ $! > "$1.part" && mv "$1.part" "$1"
while :; do sleep 0.05; done
"""
RUNNER = """
import os, sys
from nutmill.comparison.process_group import run_in_group
run_in_group(["sh", "-c", sys.argv[1], "sh", sys.argv[2]], os.environ, 60.0)
"""


def pids_in(file: Path) -> list[int]:
    """Wait for the command to say which its two processes are."""
    deadline = time.monotonic() + 60.0
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(pid) for pid in file.read_text().split()]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def have_ended(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20.0
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_alive, pids))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_what_was_started_ends_with_whoever_started_it(number, tmp_path):
    file = tmp_path / "pids"
    with subprocess.Popen([sys.executable, "-c", RUNNER, STUBBORN, str(file)], stderr=subprocess.DEVNULL) as runner:
        pids = pids_in(file)
        assert len(pids) == 2 and all(map(is_alive, pids))
        runner.send_signal(number)
    assert runner.returncode != 0
    assert have_ended(pids)


def test_what_was_started_ends_when_time_is_up(tmp_path):
    file = tmp_path / "pids"
    with pytest.raises(subprocess.TimeoutExpired):
        run_in_group(["sh", "-c", STUBBORN, "sh", str(file)], os.environ, 1.0)
    assert have_ended(pids_in(file))


def test_what_a_command_leaves_behind_ends_with_it(tmp_path):
    file = tmp_path / "pids"
    leaving = f"exec 2>&-; sleep 600 & echo $! > {file}; exit 3"
    assert run_in_group(["sh", "-c", leaving], os.environ, 60.0)[0] == 3
    assert have_ended(pids_in(file))


def test_how_a_command_ends_and_what_it_says_is_reported():
    assert run_in_group(["sh", "-c", "echo said; echo wrong >&2; exit 2"], os.environ, 60.0) == (2, "wrong\n")
    assert run_in_group(["sh", "-c", "kill -SEGV $$"], os.environ, 60.0)[0] == -signal.SIGSEGV
    assert run_in_group(["sh", "-c", "cat"], os.environ, 60.0) == (0, "")
    with pytest.raises(FileNotFoundError):
        run_in_group(["no-such-command"], os.environ, 60.0)
