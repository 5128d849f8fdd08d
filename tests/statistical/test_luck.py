"""All statistical tests for twenty seeds, on every level of processors: no more of them fail than chance allows."""

import re
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import pytest
from processor_levels import LEVELS
from scipy import stats

from nutmill.native.processor import obstacle, target

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SEEDS = "0-19"
# Thirty comparisons, as many as a test may have, of which one in 150 000 fails by chance (`assertions.MAX_Z`).
CHANCE = 2e-4

# Together all of them; apart, so that none takes ten minutes.
PARTS = {
    "transitions": ["tests/nuts/test_transition.py"],
    "kernel": ["tests/nuts", "--ignore=tests/nuts/test_transition.py"],
    "models": ["tests", "--ignore=tests/nuts"],
}


def allowed(n_runs: int) -> int:
    """Return how many of so many runs may fail: more do so by chance once in 10 000 times."""
    return int(stats.binom.isf(1e-4, n_runs, CHANCE))


def outcomes(level: str, selection: list[str], path: Path) -> tuple[Counter, dict[str, list[str]]]:
    """Run tests in a process of their own; return the runs of each test, and what its failures say."""
    command = [sys.executable, "-m", "pytest", "-q", *selection, "-m", "statistical and not slow", "--junitxml", path]
    options = ["--target", level, "--seeds", SEEDS, "-p", "no:cacheprovider"]
    done = subprocess.run([*map(str, command), *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    runs, failures = Counter(), {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = re.sub(r"seed\d+-?", "", case.get("name")).replace("[]", "")
        runs[name] += 1
        failures.setdefault(name, []).extend(
            f"{case.get('name')}: {fault.get('message')}" for kind in ("failure", "error") for fault in case.iter(kind)
        )
    return runs, failures


def test_what_chance_allows():
    """One failure of twenty runs, four of two thousand."""
    assert (allowed(1), allowed(20), allowed(2000)) == (1, 1, 4)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("level", LEVELS)
def test_failures_are_those_of_chance(level, part, tmp_path):
    if obstacle(target(level)):
        pytest.skip(f"this processor does not reach {level}")
    runs, failures = outcomes(level, PARTS[part], tmp_path / "report.xml")
    told = "\n".join(chain.from_iterable(failures.values()))
    assert min(runs.values()) == max(runs.values()) == 20
    assert all(len(failures[name]) <= allowed(n) for name, n in runs.items()), told
    assert sum(map(len, failures.values())) <= allowed(runs.total()), told
