"""Planted bugs: each changes one line of the sampler in a copy, and the test that is named for it must fail there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import nutmill

TESTS = Path(__file__).parents[1]
PACKAGE = Path(nutmill.__file__).parent


class Bug(NamedTuple):
    """One line of a file of `nuts`, what it becomes, and the test that sees it."""

    file: str
    line: str
    becomes: str
    test: str


BUGS = {
    "a sub-tree prefers its newer half, as only the tree may": Bug(
        "tree.py",
        "verbs.combine(trajectory, top - 1, top, forward, _IN_PROPORTION)",
        "verbs.combine(trajectory, top - 1, top, forward, _BIASED)",
        "test_tree.py::test_free_orbit_is_stationary",
    ),
    "the newer half is always taken": Bug(
        "tree.py",
        "return log_weight, 1.0 if newer >= older else ratio",
        "return log_weight, 1.0",
        "test_tree.py::test_stationary_with_turns_and_divergences_at_random",
    ),
    "a tree that turns gives its draw back": Bug(
        "tree.py",
        "verbs.combine(trajectory, _TREE, _EXTENSION, forward, _BIASED)",
        "if not turning: verbs.combine(trajectory, _TREE, _EXTENSION, forward, _BIASED)",
        "test_transition.py::test_kernel_equals_oracle",  # it is another sampler, and leaves the target as it is
    ),
    "a sub-tree that turns is kept": Bug(
        "tree.py",
        "            if _turns(trajectory, verbs, top, forward, level > 0):",
        "            if False:",
        "test_tree.py::test_stationary_with_a_turn_at_every_place",
    ),
    "the cross checks are dropped": Bug(
        "hamiltonian.py",
        "    if not has_inner_ends:",
        "    if True:",
        "test_transition.py::test_kernel_equals_oracle",
    ),
    "a draw weighs by the inverse of its density": Bug(
        "hamiltonian.py",
        "    _fill_slot(trajectory, slot, row, -error)",
        "    _fill_slot(trajectory, slot, row, error)",
        "test_transition.py::test_kernel_leaves_exact_draws_exact",
    ),
    "the last half of a kick is left out": Bug(
        "hamiltonian.py",
        "    kinetic_energy = _kick_in_place(0.5 * step_size, new)",
        "    kinetic_energy = _kick_in_place(0.0, new)",
        "test_hamiltonian.py::test_reversible",
    ),
    "velocities are drawn by the variance in place of its root": Bug(
        "metric.py",
        "        velocity[i] = velocity[i] * scale",
        "        velocity[i] = velocity[i] * variance[i]",
        "test_hamiltonian.py::test_start_has_the_current_draw_and_a_momentum_of_the_metric",
    ),
    "one direction is stretched by the root of what momenta are drawn for": Bug(
        "metric.py",
        "_add_along(metric.directions[k], metric.stretch[k] - 1.0, vector, out)",
        "_add_along(metric.directions[k], math.sqrt(metric.stretch[k]) - 1.0, vector, out)",
        "test_hamiltonian.py::test_start_has_the_current_draw_and_a_momentum_of_the_metric",
    ),
    "the step size depends on where the chain is": Bug(
        "chain.py",
        "* (1.0 - _JITTER + 2.0 * _JITTER * uniform(trajectory.rng))",
        "* (0.5 + 0.5 * math.tanh(trajectory.position[0]) + 0.01 * uniform(trajectory.rng))",
        "test_closed_form.py::test_standard_normal",
    ),
    "the metric learns on while draws are kept": Bug(
        "chain.py",
        "            _keep(trajectory, state, number, statistics)",
        "            _keep(trajectory, state, number, statistics); trajectory.metric.variance[0] *= 1.01",
        "test_warmup.py::test_metric_rests_after_warmup",
    ),
}


def run(folder: Path, test: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(TESTS / "nuts" / test)]
    env = {**os.environ, "PYTHONPATH": str(folder), "NUTMILL_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(command, cwd=TESTS.parent, env=env, capture_output=True, text=True, check=False)


def copy(folder: Path) -> Path:
    shutil.copytree(PACKAGE, folder / "nutmill", ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    return folder / "nutmill" / "nuts"


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_it_is_seen(name, tmp_path):
    bug = BUGS[name]
    path = copy(tmp_path) / bug.file
    text = path.read_text()
    assert text.count(bug.line) == 1
    path.write_text(text.replace(bug.line, bug.becomes))
    found = run(tmp_path, bug.test)
    assert found.returncode == 1 and "AssertionError" in found.stdout, found.stdout[-2000:] + found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("test", sorted({bug.test for bug in BUGS.values()}))
def test_nothing_is_seen_where_there_is_none(test, tmp_path):
    copy(tmp_path)
    found = run(tmp_path, test)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr
