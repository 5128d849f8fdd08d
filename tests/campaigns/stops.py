"""Stops runs by force at random moments, damages what they left, resumes them, and compares with a run left alone.

Each run is a process of its own, forked so that nothing is compiled again, and killed (SIGKILL) as often as chance has
it before it may end; or its files may not grow beyond a random size, as on a disk that is full.
`benchmarks.batch.kills` counts kills alone, for the page of figures.
"""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zoo

import nutmill
from campaigns.trials import QUIET, arrays_of, in_child
from nutmill import sample_numba
from nutmill.checkpoint.records import draw_record
from nutmill.checkpoint.state_files import MAGIC

ASKED = {"draws": 10_000, "random_seed": 1, "discard_tuned_samples": False, "idata_kwargs": {"divergences": True}}
EVERY_S = 0.02
FAULTS = ("kill", "full", "state", "block")
_MOST_STOPS = 50


def go_on(path: Path, compiled: nutmill.CompiledModel, chains: int):
    """Resume the run in `path`, or begin it if it has not begun."""
    if (path / "manifest.json").exists():
        return nutmill.resume(path, compiled, every=EVERY_S, cores=2, **QUIET)
    return sample_numba(compiled, **ASKED, chains=chains, cores=2, checkpoint=path, every=EVERY_S, **QUIET)


def stop_once(path: Path, compiled, chains: int, fault: str, rng: np.random.Generator, usual_s: float) -> int:
    """Let a run go on for a random time, or until its disk is full, and damage what it leaves; return the status."""

    def work():
        return go_on(path, compiled, chains)

    if fault == "full":
        largest = max((file.stat().st_size for file in path.rglob("*") if file.is_file()), default=0)
        return in_child(work, file_bytes=int(largest + rng.uniform(0, 500_000)))
    status = in_child(work, kill_after_s=rng.uniform(0.0, usual_s))
    if fault in ("state", "block"):
        damage(path, fault, rng)
    return status


def headers_of(path: Path) -> dict[int, list[tuple[int, Path, dict]]]:
    """States of each group, the newest first: sequence, file, facts."""
    found: dict[int, list[tuple[int, Path, dict]]] = {}
    for file in (path / "groups").glob("*.state"):
        content = file.read_bytes()
        first = len(MAGIC) + 8
        header = json.loads(content[first : first + int.from_bytes(content[len(MAGIC) : first], "little")])
        found.setdefault(int(file.name[:5]), []).append((header["sequence"], file, header["facts"]))
    return {number: sorted(states, key=lambda state: -state[0]) for number, states in found.items()}


def damage(path: Path, fault: str, rng: np.random.Generator) -> None:
    """Change a byte of a newest state, or cut draws off that the state before does not know of."""
    if not (path / "manifest.json").exists():
        return
    record_bytes = draw_record(json.loads((path / "manifest.json").read_text())["n_dim"]).itemsize
    for states in headers_of(path).values():
        if len(states) < 2:
            continue
        (_, newest, facts), (_, _, before) = states
        if fault == "state":
            content = bytearray(newest.read_bytes())
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
            newest.write_bytes(content)
            continue
        for chain_id, marks, older in zip(facts["chain_ids"], facts["marks"], before["marks"], strict=True):
            file = path / "chains" / f"{chain_id:05d}.draws"
            kept, size = older[0][0] * record_bytes, file.stat().st_size
            if marks[0][0] > older[0][0] and size > kept:
                os.truncate(file, int(rng.integers(kept, size)))


def stopped_runs(
    compiled: nutmill.CompiledModel, chains: int, fault: str, times: int, *, seed: int, folder: Path
) -> Iterator[dict]:
    """Stop runs `times` times in all; give a row for each run, with whether its result is that of a run left alone."""
    rng = np.random.default_rng(seed)
    reference = arrays_of(sample_numba(compiled, **ASKED, chains=chains, **QUIET))
    begin = time.perf_counter()
    in_child(lambda: go_on(folder / "whole", compiled, chains))
    usual_s = time.perf_counter() - begin
    stops, number = 0, 0
    while stops < times:
        path, of_run = folder / str(number), 0
        statuses = []
        while of_run < _MOST_STOPS and stops < times:
            begin = time.perf_counter()
            statuses.append(stop_once(path, compiled, chains, fault, rng, usual_s))
            if statuses[-1] == 0:
                # The first run may have had a busy machine: then kills would come too late, and hardly any would count.
                usual_s = min(usual_s, time.perf_counter() - begin)
                break
            of_run, stops = of_run + 1, stops + 1
        found = arrays_of(go_on(path, compiled, chains))
        yield {"chains": chains, "fault": fault, "stops": of_run, "statuses": statuses, "same": found == reference}
        shutil.rmtree(path)
        number += 1


def run(fault: str, times: int, *, seed: int, folder: Path) -> Counter:
    """Stop runs of one and of several chains by one fault; return how many stops came to what."""
    found: Counter = Counter()
    for chains, of_these in ((1, times // 2), (6, times - times // 2)):
        within = folder / str(chains)
        within.mkdir()
        for row in stopped_runs(zoo.compiled("regression"), chains, fault, of_these, seed=seed, folder=within):
            found["same" if row["same"] else "other bytes"] += row["stops"]
            if not row["same"]:
                print(f"  {fault}: {row}", flush=True)
    print(f"{fault}: {times} times, {dict(found)}", flush=True)
    return found
