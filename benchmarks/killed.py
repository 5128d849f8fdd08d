"""Kills many fits and goes on with them: `python -m benchmarks.killed`; writes JSON: memory, CPU seconds, same bytes.

Eight schools, summaries to a Zarr folder: one call that nothing happens to, and one that SIGKILL meets at random
moments, each in a process of its own. The random moments are of a fit, and up to ten seconds after it.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.many import SCHOOL_ERRORS, schools
from benchmarks.results_file import RESULTS, record
from nutmill.comparison.resources import status_mb

_N_MARKS = 10  # how often memory is told on the way


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, and measure or, as one of its own processes, fit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.killed", description=__doc__)
    parser.add_argument("--fits", type=int, default=100_000)
    parser.add_argument("--draws", type=int, default=100, help="of each of four chains")
    parser.add_argument("--tune", type=int, help="draws of warmup; until the chains agree, if not told")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=["unbroken", "killed"], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.way is not None:
        _fit(options)
        return
    settings = {name: getattr(options, name) for name in ("fits", "draws", "tune", "kills", "cores")}
    with tempfile.TemporaryDirectory() as folder:
        record("killed", options.out, settings, _rows(options, Path(folder)))


def _rows(options: argparse.Namespace, folder: Path) -> Iterator[dict]:
    command = [sys.executable, "-m", "benchmarks.killed", "--folder", str(folder)]
    for name in ("fits", "draws", "tune", "cores"):
        if (value := getattr(options, name)) is not None:
            command += [f"--{name}", str(value)]
    known = []
    for way in ("killed", "unbroken"):
        killed_at = []
        if way == "killed":
            chosen = random.Random(1)
            moments = sorted(chosen.uniform(0.05, 0.95) * options.fits for _ in range(options.kills))
            killed_at = [_killed([*command, "--way", way], folder, moment, chosen.uniform(0, 10)) for moment in moments]
        subprocess.run([*command, "--way", way], check=True)
        marks = np.loadtxt(folder / f"{way}.txt", ndmin=2)
        known.append(_digest(folder / f"{way}.zarr"))
        names = ("n_fits", "peak_mb", "cpu_s")
        yield {
            "way": way,
            "killed_at": killed_at,
            "marks": [dict(zip(names, mark, strict=True)) for mark in marks.tolist()],
            "digest": known[-1],
            "is_same": known[0] == known[-1],
        }


def _killed(command: list[str], folder: Path, moment: float, then_s: float) -> int:
    """Begin, kill some seconds after so many fits are on the disk, and tell how many are there."""
    process = subprocess.Popen(command)
    while process.poll() is None and _n_kept(folder) < moment:
        time.sleep(0.5)
    time.sleep(then_s)
    process.kill()
    process.wait()
    return _n_kept(folder)


def _n_kept(folder: Path) -> int:
    """Tell how many fits lie before the newest file of the checkpoint."""
    return max((int(path.stem.removeprefix("rows-")) for path in folder.glob("rows/rows-*.npz")), default=0)


def _fit(options: argparse.Namespace) -> None:
    import nutmill

    checkpoint = options.folder / "rows" if options.way == "killed" else None
    with open(options.folder / f"{options.way}.txt", "w") as marks:

        def stream() -> Iterator[dict[str, np.ndarray]]:
            rng = np.random.default_rng(1)
            for number in range(options.fits + 1):
                if number % max(1, options.fits // _N_MARKS) == 0:
                    print(number, f"{status_mb('VmHWM'):.1f} {time.process_time():.1f}", file=marks, flush=True)
                if number < options.fits:
                    yield {"measured": rng.normal(rng.normal(5, 5, 8), SCHOOL_ERRORS)}

        nutmill.sample_many(
            schools(),
            stream(),
            draws=options.draws,
            tune=options.tune,
            cores=options.cores,
            random_seed=1,
            to=options.folder / f"{options.way}.zarr",
            checkpoint=checkpoint,
            progressbar=False,
        )


def _digest(path: Path) -> str:
    """Hash all arrays of a result, with their names."""
    import xarray as xr

    digest = hashlib.sha256()
    with xr.open_datatree(path, engine="zarr", consolidated=False) as tree:
        for group in sorted(tree.children):
            for name in sorted(tree[group].variables):
                values = tree[group][name].values
                plain = (
                    values.tobytes() if values.dtype.kind in "fiub" else "\0".join(map(str, values.ravel())).encode()
                )
                digest.update(f"{group}/{name} {values.dtype.kind} {values.shape}".encode() + plain)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
