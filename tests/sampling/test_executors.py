"""Groups of chains in processes and threads of an executor: the draws of a local run, whatever workers do."""

import json
import os
import re
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from apart import (
    OPTIONS,
    QUIET,
    assert_equals_local_run,
    funnel,
    long,
    processes,
    reference,
    short,
)
from same_results import assert_same
from workers import loaded_modules

import nutmill
from nutmill import ArgumentError, CheckpointError, Layout, LayoutError, ModelError, adaptation_of, sample_numba
from nutmill.native.compiled import CompiledModel
from nutmill.native.container import pack, unpack
from nutmill.native.saved_model import MAGIC
from nutmill.run.adaptation import AdaptationState
from nutmill.run.run import Ending, Run, Seconds, WarmupEnd
from nutmill.sampling.executor.joining import join
from nutmill.sampling.executor.sharing import Models, ModelSource

HEAVY = {"pymc", "pytensor", "numba", "arviz", "xarray"}


@pytest.fixture(scope="module")
def pool():
    with processes() as executor:
        yield executor


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("options", [{}, {"cores": 4}, {"layout": Layout(2)}], ids=["default", "cores", "layout"])
def test_processes_make_the_draws_of_a_local_run(pool, options):
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=pool, **options))


def test_workers_load_nothing_heavy(pool):
    sample_numba(short(), **OPTIONS, executor=pool)
    found = set.union(*pool.map(loaded_modules, range(8)))
    assert "nutmill.run.driver" in found
    assert not found & {*HEAVY, "pandas", "rich"}


def test_threads_make_the_draws_of_a_local_run(threads):
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=threads))


def test_a_model_is_sampled_without_compiling_it_first(threads):
    result = nutmill.sample_numba(funnel(), **OPTIONS, executor=threads)
    assert_equals_local_run(result)


def test_a_part_of_the_chains_draws_as_in_the_whole_run(threads):
    result = sample_numba(short(), **OPTIONS, executor=threads, chain_ids=[8, 9])
    assert result.posterior["chain"].values.tolist() == [8, 9]
    whole = reference().posterior["effect"].sel(chain=[8, 9])
    np.testing.assert_array_equal(result.posterior["effect"].values, whole.values)


def test_a_warm_start_draws_as_a_local_run_does(threads):
    options = {**OPTIONS, "chains": 11, "tune": 0, "random_seed": 9, "adaptation_state": adaptation_of(reference())}
    local = sample_numba(short(), **options)
    assert_same(sample_numba(short(), **options, executor=threads), local, ("posterior", "sample_stats", "adaptation"))


def test_a_run_in_a_folder_draws_as_one_in_memory(pool, tmp_path):
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=pool, checkpoint=tmp_path / "run"))
    assert nutmill.status(tmp_path / "run")["phase"] == "finished"
    assert not (tmp_path / "run" / "running").exists()
    with pytest.raises(CheckpointError, match="holds a run already"):
        sample_numba(short(), **OPTIONS, executor=pool, checkpoint=tmp_path / "run")


def test_a_finished_run_gives_its_result_again_and_more_draws(pool, tmp_path):
    options = {**OPTIONS, "draws": 50}
    sample_numba(short(), **options, executor=pool, checkpoint=tmp_path / "run")
    assert_equals_local_run(nutmill.resume(tmp_path / "run", short(), draws=120, executor=pool, **QUIET))
    # Without an executor this process does it.
    assert_equals_local_run(nutmill.resume(tmp_path / "run", short(), **QUIET))


def test_a_run_can_be_read_as_others_can(pool, tmp_path):
    path = tmp_path / "run"
    sample_numba(short(), **OPTIONS, executor=pool, checkpoint=path)
    assert_equals_local_run(nutmill.merge([path], compute_convergence_checks=False))
    for found, expected in zip(adaptation_of(path), adaptation_of(reference()), strict=True):
        np.testing.assert_array_equal(found, expected)
    shutil.rmtree(path / "parts" / "00004")
    with pytest.raises(CheckpointError, match="these are missing: 4, 5, 6, 7"):
        nutmill.merge([path])
    partial = nutmill.merge([path], partial=True, compute_convergence_checks=False)
    assert partial.posterior["chain"].values.tolist() == [0, 1, 2, 3, 8, 9]
    # What is gone is made again.
    assert_equals_local_run(nutmill.resume(path, executor=pool, **QUIET))


def test_workers_may_be_in_other_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with processes(1) as elsewhere:
        elsewhere.submit(os.chdir, "/").result()
        assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=elsewhere, checkpoint="run"))


def test_a_process_unpacks_a_model_once():
    models, content = Models(), short().to_bytes()
    first = models.get(ModelSource("first", None), content)
    assert models.get(ModelSource("first", None), content) is first
    for digest in ("second", "third"):  # and lets go of those that were used long ago
        models.get(ModelSource(digest, None), content)
    assert models.get(ModelSource("first", None), content) is not first


def test_an_error_in_a_worker_comes_back_with_its_name(pool):
    with pytest.raises(LayoutError, match=r"Chains \d+ to \d+ failed in process \d+ on .*: .*no-such-blas") as raised:
        sample_numba(short(), **OPTIONS, executor=pool, layout=Layout(1, blas="/no-such-blas.so"))
    assert "in _sampled" in raised.value.__notes__[0]
    assert_equals_local_run(sample_numba(short(), **OPTIONS, executor=pool))


def test_a_worker_that_lacks_what_the_code_needs(pool, monkeypatch):
    def for_another_processor(compiled, to_bytes=CompiledModel.to_bytes, **options):
        header, parts = unpack(to_bytes(compiled, **options), MAGIC)
        header.manifest["code"]["target"][3].append("avx1024")
        return pack(header, parts, MAGIC)

    monkeypatch.setattr(CompiledModel, "to_bytes", for_another_processor)
    with pytest.raises(ModelError, match=r"failed in process \d+ on .*this processor .* lacks avx1024: compile"):
        sample_numba(short(), **OPTIONS, executor=pool)


def test_interrupt_keeps_what_is_done(threads):
    options = {**OPTIONS, "draws": 500_000, "discard_tuned_samples": True}
    begun = threading.Event()
    threads.submit(begun.wait)  # one thread for the run, which is in its first group when the signal comes
    compiled = long()
    # Long after the run has begun to watch for signals, also on a busy machine.
    threading.Timer(5.0, signal.raise_signal, (signal.SIGINT,)).start()
    result = sample_numba(compiled, **options, executor=threads)
    begun.set()
    assert result.attrs["interrupted"] == 1
    assert result.attrs["stopped_by"] == "SIGINT"
    chains, n_draws = result.posterior["chain"].values.tolist(), result.posterior.sizes["draw"]
    assert chains == [0, 1, 2, 3] if n_draws else chains == list(range(10))
    assert n_draws < 500_000


def test_a_limit_of_time_ends_the_run_with_its_draws(threads, tmp_path):
    options = {**OPTIONS, "draws": 100_000}
    result = sample_numba(long(), **options, executor=threads, max_time=1.5, checkpoint=tmp_path / "run")
    assert result.attrs["stopped_by"] == "max_time"
    assert nutmill.status(tmp_path / "run")["phase"] == "stopped"
    assert_equals_local_run(nutmill.resume(tmp_path / "run", long(), draws=120, executor=threads, **QUIET), "long")


def run_of(first, n_draws, n_chains=4):
    """Make a run of a group by hand: draws tell chain and draw."""
    chain_ids = list(range(first, first + n_chains))
    draws = np.add.outer(np.array(chain_ids) * 1000.0, np.arange(float(n_draws)))[:, :, None]
    warmup = draws[:, : n_draws // 2]
    return Run(
        chain_ids=chain_ids,
        draws=draws,
        statistics=np.zeros((n_chains, n_draws)),
        warmup_draws=warmup,
        warmup_statistics=warmup[..., 0],
        divergences=None,
        adaptation=AdaptationState(*np.ones((len(AdaptationState._fields), n_chains))),
        warmup=WarmupEnd(*np.ones((len(WarmupEnd._fields), n_chains))),
        n_gradients=np.ones(n_chains),
        ending=Ending(),
        messages=[f"group of {first}"],
        seconds=Seconds(1.0, 2.0, 3.0, 4.0),
    )


@pytest.mark.parametrize(
    ("counts", "chain_ids", "n_draws"),
    [
        ((100, 100, 90), range(12), 90),
        ((100, 100, 10), range(8), 100),
        ((100, 0, 0), range(4), 100),
        ((0, 0, 0), range(12), 0),
    ],
)
def test_an_interrupted_run_keeps_most_draws(counts, chain_ids, n_draws):
    runs = [run_of(4 * number, count) for number, count in enumerate(counts)]
    joined = join(runs, Ending("SIGINT"), 5.0)
    assert joined.chain_ids == list(chain_ids)
    for chain_id, draws in zip(joined.chain_ids, joined.draws, strict=True):
        np.testing.assert_array_equal(draws[:, 0], 1000.0 * chain_id + np.arange(n_draws))
    assert {len(warmup) for warmup in joined.warmup_draws} == {n_draws // 2}
    assert joined.seconds == Seconds(1.0, 2.0 * len(chain_ids) / 4, 4.0, len(chain_ids))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"executor": 4}, "executor must be a concurrent.futures.Executor"),
        ({"until": {"ess": 400}}, "an executor samples groups apart"),
    ],
)
def test_arguments_that_are_refused(threads, changes, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        sample_numba(short(), **{"executor": threads, **OPTIONS, **changes})


def test_a_run_that_no_executor_has_sampled(threads, tmp_path):
    sample_numba(short(), **{**OPTIONS, "draws": 20}, checkpoint=tmp_path / "run")
    with pytest.raises(CheckpointError, match="was not sampled by an executor"):
        nutmill.resume(tmp_path / "run", short(), executor=threads)


def test_what_took_effect_is_told_by_worker(pool):
    layout = json.loads(
        sample_numba(short(), **OPTIONS, executor=pool, layout=Layout(2, 1, "openblas")).attrs["cpu_layout"]
    )
    assert layout["source"] == "executor"
    assert layout["tasks"]["chains_at_once"] == 2
    for worker, effective in layout["workers"].items():
        assert re.fullmatch(r"process \d+ on .+", worker)
        assert [chain["blas_threads"] for chain in effective["workers"]] == [1, 1]


def test_progress_is_shown_when_groups_arrive(threads, capsys):
    sample_numba(short(), **{**OPTIONS, "progressbar": True}, executor=threads)
    assert "10 chains: 1200 draws in " in capsys.readouterr().err
