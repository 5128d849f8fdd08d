"""Measures what `pm.sample(nuts_sampler="nutmill")` costs beyond `nutmill.sample` on a known small model.

Each call is the first in a process of its own, which has imported PyMC and built the model; the two take turns. What
counts is the least CPU time of each. `python -m benchmarks.door`
"""

import argparse
import subprocess
import sys
from statistics import median

_GOAL_S = 0.15
_PROGRAM = """
import sys, time
import numpy as np, pymc as pm
import nutmill, nutmill.pymc

rng = np.random.default_rng(1)
x = rng.normal(size=100)
with pm.Model() as model:
    a, b, s = pm.Normal("a", 0, 5), pm.Normal("b", 0, 5), pm.HalfNormal("s", 1)
    pm.Normal("y", a + b * x, s, observed=1 + 2 * x + rng.normal(size=100))
run = {"draws": 1000, "chains": 4, "random_seed": 1, "progressbar": False}
begin = time.process_time()
with model:
    pm.sample(nuts_sampler="nutmill", **run) if sys.argv[1] == "door" else nutmill.sample(**run)
print(time.process_time() - begin)
"""


def measured(way: str) -> float:
    """CPU seconds of the call, "door" or "sample", in a new process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM, way], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Measure both in turn, and print the least and the median of each, and the difference of the least."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for way in ("sample", "door"):
        measured(way)  # the model becomes known
    times: dict[str, list[float]] = {"sample": [], "door": []}
    for _ in range(rounds):
        for way, found in times.items():
            found.append(measured(way))
    for way, found in times.items():
        print(f"{way:<7} least {min(found):.3f} CPU s, median {median(found):.3f}")
    print(f"pm.sample takes {min(times['door']) - min(times['sample']):+.3f} CPU s (goal: at most {_GOAL_S})")


if __name__ == "__main__":
    main()
