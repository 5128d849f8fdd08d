"""Damages files, uses them in processes of their own, and judges what came of it.

A trial holds if what comes is the same, byte for byte, or one NutmillError. A process that dies or waits, another
exception, and other bytes do not.
"""

import hashlib
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import faults
import numpy as np

import nutmill

KINDS = ("flip", "cut", "append", "zero", "delete", "link", "pipe", "folder")
# What a child ends with.
SAME, TOLD, RAW, OTHER = range(4)
NAMES = {SAME: "same", TOLD: "told", RAW: "raw exception", OTHER: "other bytes", -9: "waited for ever"}
HELD = {"same", "told"}
_LONGEST_S = 120.0


def damage(file: Path, kind: str, rng: np.random.Generator) -> None:
    """Harm one file in one way."""
    content = bytearray(file.read_bytes())
    first, last = np.sort(rng.integers(0, len(content) + 1, 2))
    if kind == "flip" and content:
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    elif kind == "cut":
        del content[first:]
    elif kind == "append":
        content += rng.bytes(int(rng.integers(1, 100)))
    elif kind == "zero":
        content[first:last] = bytes(int(last - first))
    file.unlink()
    if kind == "link":
        elsewhere = file.parents[1] / "elsewhere"
        elsewhere.write_bytes(content)
        file.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind != "delete":
        file.write_bytes(content)


def outcome(work: Callable[[], object], expected: object) -> str:
    """Do `work` in a process of its own: "same" if it gives what is expected, "told" if it raises a NutmillError."""

    def judged() -> None:
        try:
            code = SAME if work() == expected else OTHER
        except nutmill.NutmillError as error:
            code = TOLD if "\n" not in str(error) else RAW
        except BaseException:
            traceback.print_exc()
            code = RAW
        os._exit(code)

    status = faults.in_child(judged, kill_after_s=_LONGEST_S)
    return NAMES.get(status, f"died by signal {-status}" if status < 0 else f"ended with {status}")


def digest_of(result) -> str:
    return hashlib.sha256(repr(sorted(faults.arrays_of(result).items())).encode()).hexdigest()


def campaign(trials: Iterator[tuple[str, str]], times: int, name: str) -> Counter:
    """Make so many trials, and print what came of them; return how many of each outcome."""
    found: Counter = Counter()
    for _, (what, how) in zip(range(times), trials, strict=False):
        found[how] += 1
        if how not in HELD:
            print(f"  {name}: {what}: {how}", flush=True)
    print(f"{name}: {times} damages, {dict(found)}", flush=True)
    return found
