"""Does the trials of a campaign, each in a process of its own, and judges and counts what came of them.

A trial holds if what comes is the same, byte for byte, or one NutmillError. A process that dies or waits, another
exception, and other bytes do not.
"""

import hashlib
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

import nutmill
from nutmill.results.trace import group

QUIET = {"progressbar": False, "compute_convergence_checks": False}
# With all that comes from draws in the result.
WHOLE = {"discard_tuned_samples": False, "idata_kwargs": {"divergences": True}, **QUIET}
GROUPS = ("posterior", "sample_stats", "warmup_posterior", "warmup_sample_stats", "divergences", "adaptation")
# What a child ends with; FULL: it could not write its folder.
SAME, TOLD, FULL, RAW, OTHER = 0, 1, 2, 3, 4
NAMES = {SAME: "same", TOLD: "told", RAW: "raw exception", OTHER: "other bytes", -9: "waited for ever"}
HELD = {"same", "told", "told, then same"}
LONGEST_S = 120.0


def arrays_of(result) -> dict[tuple[str, str], bytes]:
    """Bytes of all arrays that come from draws, by group and name."""
    return {
        (name, variable): np.ascontiguousarray(values.values).tobytes()
        for name in GROUPS
        for variable, values in group(result, name).data_vars.items()
    }


def digest_of(result) -> str:
    return hashlib.sha256(repr(sorted(arrays_of(result).items())).encode()).hexdigest()


def in_child(work: Callable[[], object], kill_after_s: float | None = None, file_bytes: int | None = None) -> int:
    """Do `work` in a forked process, under a limit for the size of files, or killed after a time; return its status."""
    child = os.fork()
    if child == 0:
        status = RAW
        try:
            if file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
            work()
            status = SAME
        except nutmill.CheckpointError:
            status = FULL
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if kill_after_s is not None:
        end_s = time.monotonic() + kill_after_s
        while time.monotonic() < end_s:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(work: Callable[[], object], expected: object) -> str:
    """Do `work` in a process of its own: "same" if it gives what is expected, "told" if it raises a NutmillError.

    What is printed beside an outcome that does not hold comes from the child.
    """

    def judged() -> None:
        try:
            found = work()
            code = SAME if found == expected else OTHER
            if code == OTHER and isinstance(found, list):
                print("  ", *found, flush=True)
        except nutmill.NutmillError as error:
            code = TOLD if "\n" not in str(error) else RAW
        except BaseException:
            traceback.print_exc()
            code = RAW
        os._exit(code)

    return named(in_child(judged, kill_after_s=LONGEST_S))


def must_work(work: Callable[[], object], expected: object) -> str:
    """Give the outcome of what no sentence may stop."""
    found = outcome(work, expected)
    return "refused" if found == "told" else found


def named(status: int) -> str:
    """The outcome that a child's status stands for."""
    return NAMES.get(status, f"died by signal {-status}" if status < 0 else f"ended with {status}")


def counted(trials: Iterator[tuple[str, str]], times: int, name: str) -> Counter:
    """Make so many trials, and print what did not hold and how many came to what; return how many of each outcome."""
    found: Counter = Counter()
    for _, (what, how) in zip(range(times), trials, strict=False):
        found[how] += 1
        if how not in HELD:
            print(f"  {name}: {what}: {how}", flush=True)
    print(f"{name}: {sum(found.values())} times, {dict(found)}", flush=True)
    return found
