"""Runs of an executor that are seen and steered while they go on: what groups bring back, or save in their folders."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from run_folders import OPTIONS, QUIET, compiled
from same_results import assert_same

import nutmill
from nutmill import sample_numba
from nutmill.checkpoint.group_keeper import GroupKeeper
from nutmill.progress import status
from nutmill.results.trace import group
from nutmill.run import groups
from nutmill.sampling import steering
from nutmill.sampling.executor import gathering

DRAWN = ("posterior", "sample_stats")


@pytest.fixture(scope="module")
def reference():
    return sample_numba(compiled(), **OPTIONS)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look at groups often, or runs would take seconds before they are seen."""
    monkeypatch.setattr(steering, "_INTERVAL_S", 0.0)
    for module in (status, gathering):
        monkeypatch.setattr(module, "INTERVAL_S", 0.1)


def assert_begins(result, so_far):
    """See that draws so far are the first ones of those chains that the result of a run has."""
    whole, first = group(result, "posterior"), group(so_far, "posterior")
    n_draws, chains = first.sizes["draw"], whole["chain"].values
    for name, values in first.data_vars.items():
        np.testing.assert_array_equal(values.sel(chain=chains).values, whole[name].values[:, :n_draws])


@pytest.mark.parametrize("kept", [None, "run"], ids=["memory", "folder"])
def test_a_callback_sees_the_chains_of_an_executor(reference, tmp_path, kept):
    seen = []
    with ThreadPoolExecutor(1) as executor:
        options = {**OPTIONS, "executor": executor, "checkpoint": kept and tmp_path / kept}
        result = sample_numba(compiled(), **options, callback=lambda run: seen.append((run.n_draws, run.draws())))
    for _, so_far in seen:
        assert_begins(result, so_far)
    n_draws, so_far = seen[-1]
    assert set(n_draws) == {OPTIONS["draws"]} == {group(so_far, "posterior").sizes["draw"]}
    assert_same(result, reference, DRAWN)


@pytest.fixture
def slow(monkeypatch):
    """Let chains make few draws a second, however long the machine takes to look at them: results have all of them."""
    append = GroupKeeper.append

    def append_late(keeper, chain):
        time.sleep(0.01)
        append(keeper, chain)

    monkeypatch.setattr(GroupKeeper, "append", append_late)
    monkeypatch.setattr(groups, "_window", lambda n_dim, n_chains: 100)


def test_an_executor_in_the_background_is_seen_and_stopped(reference, tmp_path, slow):
    with ThreadPoolExecutor(2) as executor:
        endless = {**OPTIONS, "draws": 1_000_000, "executor": executor, "checkpoint": tmp_path / "run", "every": 0.05}
        run = sample_numba(compiled(), **endless, blocking=False)
        while not group(early := run.draws(), "posterior").sizes["draw"]:
            assert run.status()["is_running"]
            time.sleep(0.1)  # an empty result takes a third of that
        result = run.stop()
    assert (result.attrs["stopped_by"], run.status()["phase"]) == ("user", "stopped")
    assert_begins(result, early)
    again = nutmill.resume(tmp_path / "run", draws=OPTIONS["draws"], blocking=False, **QUIET)
    assert_same(again.wait(), reference, DRAWN)
