"""Runs a command to its end, and ends it with all that it has started when time is up or when this process ends.

Two processes share a group of their own: a small shell that waits, and the command. The shell reads from a pipe whose
other end this process alone holds. When this process ends, however it does (SIGKILL included, which nothing can catch),
the system closes the pipe, and the shell ends the group. The command is born in the group, so that none escapes.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

_GUARD = ("sh", "-c", "read -r line; kill -KILL 0")


def run_in_group(arguments: Sequence[str], variables: Mapping[str, str], limit_s: float) -> tuple[int, str]:
    """Run a command without input, and return its exit code (negative: the signal that ended it) and its stderr.

    What it has started and left behind has ended, too, unless that made a session of its own. Raises
    subprocess.TimeoutExpired if it was ended after `limit_s` seconds of wall time.
    """
    silent = subprocess.DEVNULL
    with subprocess.Popen(_GUARD, stdin=subprocess.PIPE, stdout=silent, stderr=silent, process_group=0) as guard:
        try:
            with subprocess.Popen(
                arguments,
                env=variables,
                stdin=silent,
                stdout=silent,
                stderr=subprocess.PIPE,
                text=True,
                process_group=guard.pid,
            ) as process:
                try:
                    _, errors = process.communicate(timeout=limit_s)
                finally:
                    os.killpg(guard.pid, signal.SIGKILL)  # before the command is waited for
        finally:
            os.killpg(guard.pid, signal.SIGKILL)  # an interrupt may have come when the command was just started
    return process.returncode, errors
