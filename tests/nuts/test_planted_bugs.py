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
    """A line of a file, what it becomes, and the test that sees it."""

    file: str
    line: str
    becomes: str
    test: str


BUGS = {
    "a sub-tree prefers its newer half, as only the tree may": Bug(
        "nuts/tree.py",
        "verbs.combine(trajectory, top - 1, top, forward, _IN_PROPORTION)",
        "verbs.combine(trajectory, top - 1, top, forward, _BIASED)",
        "nuts/test_tree.py::test_free_orbit_is_stationary",
    ),
    "the newer half is always taken": Bug(
        "nuts/tree.py",
        "return weight, 1.0 if newer >= older else newer / older",
        "return weight, 1.0",
        "nuts/test_tree.py::test_stationary_with_turns_and_divergences_at_random",
    ),
    "a tree that turns gives its draw back": Bug(
        "nuts/tree.py",
        "verbs.combine(trajectory, _TREE, _EXTENSION, forward, _BIASED)",
        "if not turning: verbs.combine(trajectory, _TREE, _EXTENSION, forward, _BIASED)",
        "nuts/test_transition.py::test_kernel_equals_oracle",  # it is another sampler, and leaves the target as it is
    ),
    "a sub-tree that turns is kept": Bug(
        "nuts/tree.py",
        "            if verbs.is_turning(trajectory, top - 1, top, forward, level > 0):",
        "            if False:",
        "nuts/test_tree.py::test_stationary_with_a_turn_at_every_place",
    ),
    "the cross checks are dropped": Bug(
        "nuts/hamiltonian.py",
        "    return whole_turns or older_turns or newer_at_inner <= 0.0 or newer_at_outer <= 0.0",
        "    return whole_turns",
        "nuts/test_transition.py::test_kernel_equals_oracle",
    ),
    "a draw weighs by the inverse of its density": Bug(
        "nuts/leaves.py",
        "    weight = math.exp(-error)",
        "    weight = math.exp(error)",
        "nuts/test_transition.py::test_kernel_leaves_exact_draws_exact",
    ),
    "the way back from a refined step is not looked at": Bug(
        "nuts/leaves.py",
        "        if back <= LARGEST_CHANGE or _level(trajectory, row, -step_size, back, level - 1) != 0:",
        "        if back < 0.0:",
        "nuts/test_transition.py::test_kernel_equals_oracle",
    ),
    "the last half of a kick is left out": Bug(
        "nuts/hamiltonian.py",
        "    kinetic_energy = _kick_in_place(0.5 * step_size, metric.weights, new)",
        "    kinetic_energy = _kick_in_place(0.0, metric.weights, new)",
        "nuts/test_hamiltonian.py::test_reversible",
    ),
    "weights stay what they were, however far a point lies above the start": Bug(
        "nuts/leaves.py",
        "        trajectory.slots[below].weight *= math.exp(-excess)",
        "        pass",
        "nuts/test_transition.py::test_weights_far_above_the_start_equal_the_oracles",
    ),
    "momenta are drawn by the variance in place of its root": Bug(
        "nuts/metric.py",
        "        precision_root[i] = 1.0 / math.sqrt(variance[i])",
        "        precision_root[i] = 1.0 / variance[i]",
        "nuts/test_hamiltonian.py::test_start_has_the_current_draw_and_a_momentum_of_the_metric",
    ),
    "one direction is stretched by the root of what momenta are drawn for": Bug(
        "nuts/metric.py",
        "metric.weights[n_dim + k] = metric.stretch[k] - 1.0",
        "metric.weights[n_dim + k] = math.sqrt(metric.stretch[k]) - 1.0",
        "nuts/test_hamiltonian.py::test_energies_are_those_of_the_metric",
    ),
    "the step size depends on where the chain is": Bug(
        "nuts/chain.py",
        "* stepsize.jitter(trajectory.rng)",
        "* (0.5 + 0.5 * math.tanh(trajectory.position[0]) + 0.01 * stepsize.jitter(trajectory.rng))",
        "nuts/test_closed_form.py::test_standard_normal",
    ),
    "rough steps are taken all the same": Bug(
        "nuts/warmup/pooling.py",
        "    elif is_rough and not is_target_raised:",
        "    elif is_rough and False:",
        "nuts/test_pooling.py::test_rough_steps_are_shortened_for_sampling",
    ),
    "what was rough at longer steps than those to come counts": Bug(
        "nuts/warmup/pooling.py",
        "    return chain.log_step_bar + stepsize.LARGEST_LOG_JITTER",
        "    return chain.log_step_bar + 2.0 * stepsize.LARGEST_LOG_JITTER",
        "nuts/test_pooling.py::test_rough_steps_are_shortened_for_sampling",
    ),
    "the metric learns on while draws are kept": Bug(
        "nuts/chain.py",
        "            _keep_divergence(trajectory, state, number, statistics)",
        "            _keep_divergence(trajectory, state, number, statistics); trajectory.metric.variance[0] *= 1.01",
        "nuts/test_warmup.py::test_metric_rests_after_warmup",
    ),
    "the volume of centring is left out of the density": Bug(
        "model/graphs/hierarchies/centring.py",
        "-pt.sum(log_width(c, scale)), _inside",
        "-0.0 * pt.sum(log_width(c, scale)), _inside",
        "model/graphs/test_centring.py::test_the_marginal_of_the_scale_is_untouched",
    ),
    "the volume of centring has the wrong sign": Bug(
        "model/graphs/hierarchies/centring.py",
        "-pt.sum(log_width(c, scale)), _inside",
        "pt.sum(log_width(c, scale)), _inside",
        "model/graphs/test_centring.py::test_the_marginal_of_the_scale_is_untouched",
    ),
    "the volume of centring forgets an element": Bug(
        "model/graphs/hierarchies/centring.py",
        "-pt.sum(log_width(c, scale)), _inside",
        "-pt.sum(log_width(c, scale).ravel()[1:]), _inside",
        "model/graphs/test_centring.py::test_the_marginal_of_the_scale_is_untouched",
    ),
    "the gradient with respect to a scale lacks a factor": Bug(
        "model/graphs/hierarchies/widths.py",
        "return [0.5 * (s * s - 1.0) * along, c * s * along]",
        "return [0.5 * (s * s - 1.0) * along, c * along]",
        "model/graphs/test_centring.py::test_gradients_are_those_of_the_density",
    ),
    "an element is brought back by the centredness of its neighbour": Bug(
        "nuts/recentring.py",
        "(position[i] - old[i] * location[i]) * further",
        "(position[i] - old[i - 1] * location[i]) * further",
        "sampling/test_centring.py::test_draws_that_are_kept_come_along",
    ),
    "elements of a run take the scale of the first one whatever theirs is": Bug(
        "nuts/recentring.py",
        " and log_scale[end] == scale:",
        ":",
        "nuts/test_recentring.py::test_elements_move_by_their_own_scales",
    ),
    "draws are kept in the coordinates of the chains": Bug(
        "nuts/recentring.py",
        "        state.written,\n",
        "        state.centredness[number],\n",
        "sampling/test_centring.py::test_draws_and_log_densities_are_those_of_the_model_as_written",
    ),
    "the log density is kept in the coordinates of the chains": Bug(
        "nuts/recentring.py",
        "    return trajectory.chain.lp - growth",
        "    return trajectory.chain.lp",
        "sampling/test_centring.py::test_draws_and_log_densities_are_those_of_the_model_as_written",
    ),
    "a chain moves where its density is not what the volume makes of it": Bug(
        "nuts/recentring.py",
        "is_same = abs(lp - expected) <= _LEAST_MISFIT + _RELATIVE_MISFIT * abs(expected)",
        "is_same = True",
        "nuts/test_trial_coordinates.py::test_an_autoregression_that_explodes_at_its_start_is_left_as_it_is_written",
    ),
    "the metric of new coordinates is learned from the old ones": Bug(
        "nuts/recentring.py",
        "            _learn_anew(record, state.moments[number, block], rows)",
        "            pass",
        "sampling/test_centring.py::test_draws_that_are_kept_come_along",
    ),
    "a move needs no second witness": Bug(
        "nuts/warmup/centredness.py",
        "are_enough = are_enough and gain > min(LEAST_GAIN * n, LEAST_GAIN_OF_SITE)",
        "are_enough = are_enough and n > 0",
        "nuts/test_centredness.py::test_a_move_needs_a_second_witness",
    ),
    "coordinates of a walk are compared with the last ones that were tried": Bug(
        "nuts/warmup/trial_coordinates.py",
        "centredness[i] = other if tried < N_TRIED else old[i]",
        "centredness[i] = other if tried < N_TRIED else centredness[i]",
        "nuts/test_trial_coordinates.py::test_the_centredness_is_that_of_the_information_of_data",
    ),
    "the gradient of a walk takes a value for the one before it": Bug(
        "model/graphs/hierarchies/linear_recurrence.py",
        "of_terms * before(outputs[0], k) for",
        "of_terms * outputs[0] for",
        "model/graphs/test_centring.py::test_gradients_are_those_of_the_density",
    ),
}


def run(folder: Path, test: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(TESTS / test)]
    env = {**os.environ, "PYTHONPATH": str(folder), "NUTMILL_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(command, cwd=TESTS.parent, env=env, capture_output=True, text=True, check=False)


def copy(folder: Path) -> Path:
    shutil.copytree(PACKAGE, folder / "nutmill", ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    return folder / "nutmill"


@pytest.mark.parametrize("name", BUGS)
def test_the_line_is_still_there(name):
    bug = BUGS[name]
    assert (PACKAGE / bug.file).read_text().count(bug.line) == 1
    file, _, test = bug.test.partition("::")
    assert f"def {test}(" in (TESTS / file).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_it_is_seen(name, tmp_path):
    bug = BUGS[name]
    path = copy(tmp_path) / bug.file
    path.write_text(path.read_text().replace(bug.line, bug.becomes))
    found = run(tmp_path, bug.test)
    assert found.returncode == 1 and "AssertionError" in found.stdout, found.stdout[-2000:] + found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("test", sorted({bug.test for bug in BUGS.values()}))
def test_nothing_is_seen_where_there_is_none(test, tmp_path):
    copy(tmp_path)
    found = run(tmp_path, test)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr
