"""Signals to `nutmill sample --checkpoint` at random moments from its first line to its last, until it has ended."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import processes
import saved

from campaigns.trials import LONGEST_S, QUIET
from nutmill import sample_numba
from nutmill.results.storage import load

SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
# Some tenths of a second of sampling, with many checkpoints.
SIZE = {"draws": 20_000, "tune": 200, "random_seed": 3}
# What the command may end with: all done, or stopped. By Ctrl-C alone also what a shell says of it.
CODES = {0, 3}
BEGIN = """
import sys
sys.argv[1:] = {arguments}
from nutmill import __main__
from nutmill.cli.stopping import hold_signals
hold_signals()
print("begun", flush=True)
__main__.main()
"""


def start(folder: Path) -> subprocess.Popen:
    """Start the command, and wait for its first line."""
    size = [f"--draws={SIZE['draws']}", f"--tune={SIZE['tune']}", f"--seed={SIZE['random_seed']}"]
    kept = [f"--checkpoint={folder / 'run'}", "--resume", "--every=0.02", f"--out={folder / 'draws.nc'}"]
    arguments = ["sample", str(folder / "small.nut"), *size, *kept]
    process = processes.start(BEGIN.format(arguments=arguments))
    process.stdout.readline()
    return process


def signals(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Stop a command by up to two signals at a time until it ends by itself, and compare its draws."""
    expected = sample_numba(saved.small(), **SIZE, **QUIET).posterior["mu"].values
    trial, usual_s = 0, _usual_s(_place(folder / "usual"))
    while True:
        trial += 1
        place, sent = _place(folder / str(trial)), []
        how = _until_the_end(place, rng, usual_s, sent)
        if how == "same" and load(place / "draws.nc")["posterior"]["mu"].values.tobytes() != expected.tobytes():
            how = "other bytes"
        yield f"after {', '.join(sent)}", how


def _place(folder: Path) -> Path:
    folder.mkdir()
    saved.small().save(folder / "small.nut")
    return folder


def _usual_s(place: Path) -> float:
    """Seconds of a command that nobody disturbs."""
    process = start(place)
    begin = time.monotonic()
    processes.output_of(process)
    return time.monotonic() - begin


def _until_the_end(place: Path, rng: np.random.Generator, longest_s: float, sent: list[str]) -> str:
    """Give the command again and again, with more time before a signal each time; say how it ended."""
    while True:
        process = start(place)
        for moment in np.sort(rng.uniform(0.0, longest_s, rng.integers(1, 3))):
            time.sleep(moment)
            number = SIGNALS[rng.integers(len(SIGNALS))]
            if process.poll() is None:
                process.send_signal(number)
                sent.append(f"{number.name} at {moment:.2f} s")
        _, said = process.communicate(timeout=LONGEST_S)
        if process.returncode == 0:
            return "same"
        if process.returncode not in CODES:
            return f"ended with {process.returncode}: {' | '.join(said.splitlines()[-3:])}"
        longest_s *= 1.2
