"""Threads within a gradient: draws are those of one thread, byte for byte, whatever tiles hold and however runs end."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

from nutmill import Layout, compile_model, find_layout, load, resume, sample_numba
from nutmill.errors import LayoutError, Status
from nutmill.layout.applied import apply_layout
from nutmill.layout.profile import Profile
from nutmill.native.teams import teams
from nutmill.results.trace import group

ROWS, COLUMNS, GROUPS = 3000, 40, 5  # 32 tiles in 8 blocks
SHORT = {"draws": 30, "tune": 60, "chains": 3, "random_seed": 3, "progressbar": False}
SHORT |= {"compute_convergence_checks": False}


def regression(rows=ROWS):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, COLUMNS))
    with pm.Model() as model:
        data, group_of_row = pm.Data("x", x), pm.Data("group", rng.integers(0, GROUPS, rows))
        slopes, offsets = pm.Normal("slopes", shape=COLUMNS), pm.Normal("offsets", shape=GROUPS)
        mean = pm.math.exp(0.1 * (data @ slopes + offsets[group_of_row]))
        pm.NegativeBinomial("y", mu=mean, alpha=pm.HalfNormal("alpha"), observed=rng.poisson(1.0, rows))
    return model


@pytest.fixture(scope="module")
def compiled():
    return compile_model(regression())


def helped(compiled, pool):
    """The same model, helped by threads."""
    other = replace(compiled)
    vars(other)["binding"] = compiled.binding.with_teams(pool)
    return other


def with_own_data(compiled):
    """The same model on copies of its data."""
    rng = np.random.default_rng(1)
    return compiled.with_data(x=rng.normal(size=(ROWS, COLUMNS)), group=rng.integers(0, GROUPS, ROWS))


def array(compiled, shape, name="x"):
    """The array as native code reads it: to be changed after checks have seen it."""
    value = next(a.value for a in compiled.description.arrays if a.name == name)
    (found,) = [a for a in compiled.binding.record.arrays if a.shape == shape and (a == value).all()]
    assert np.shares_memory(found, value) and found.flags.writeable
    return found


def draws_of(result):
    return {
        name: values.values.tobytes()
        for where in ("posterior", "sample_stats", "warmup_posterior")
        for name, values in group(result, where).data_vars.items()
    }


def sampled(model, **options):
    return draws_of(sample_numba(model, **SHORT | {"discard_tuned_samples": False} | options))


def assert_as_with_one_thread(compiled, position):
    """Status, density and gradient of 1, 2, 3 and 5 threads are the same bytes; returns the status and the density."""
    status, lp, gradient = compiled.binding.density(position)
    for n_threads in (2, 3, 5):
        with teams(1, n_threads) as pool:
            native = compiled.binding.with_teams(pool)
            for _ in range(5):
                other = native.density(position)
                assert other[0] == status
                assert np.float64(other[1]).tobytes() == np.float64(lp).tobytes()
                assert other[2].tobytes() == gradient.tobytes()
    return status, lp


def test_draws_do_not_depend_on_the_number_of_threads(compiled):
    assert compiled.code.has_tiles
    expected = sampled(compiled, layout=Layout(2))
    assert sampled(compiled, layout=Layout(2, tile_threads=2)) == expected
    with teams(2, 3) as pool:  # on fewer cores, which a layout may not have
        assert sampled(helped(compiled, pool), layout=Layout(2)) == expected


def test_gradients_do_not_depend_on_the_number_of_threads(compiled):
    for scale in (0.0, 0.1, 1.0):
        position = scale * np.random.default_rng(5).normal(size=compiled.n_dim)
        assert assert_as_with_one_thread(compiled, position)[0] == Status.OK


def test_what_is_not_a_number_comes_through(compiled):
    position = np.zeros(compiled.n_dim)
    for value in (np.nan, np.inf, -np.inf):
        position[7] = value
        _, lp = assert_as_with_one_thread(compiled, position)
        assert not np.isfinite(lp)


def test_a_row_that_is_not_a_number(compiled):
    array(other := with_own_data(compiled), (ROWS, COLUMNS))[ROWS // 2, 3] = np.nan
    _, lp = assert_as_with_one_thread(other, np.full(compiled.n_dim, 0.1))
    assert not np.isfinite(lp)


def test_few_rows_and_none(compiled):
    for rows in (0, 1, 95, 96, 97, 385, 5000):
        rng = np.random.default_rng(rows)
        data = {"x": rng.normal(size=(rows, COLUMNS)), "group": rng.integers(0, GROUPS, rows), "y": np.ones(rows, int)}
        other = compiled.with_data(**data)
        assert assert_as_with_one_thread(other, np.full(compiled.n_dim, 0.1))[0] == Status.OK


@pytest.mark.parametrize("rows", [[2000], [2000, 100]])
def test_a_row_that_fails_fails_the_gradient(compiled, rows):
    indices = array(other := with_own_data(compiled), (ROWS,), "group")
    indices[rows] = GROUPS
    assert assert_as_with_one_thread(other, np.zeros(compiled.n_dim))[0] == Status.OP_RAISED
    assert assert_as_with_one_thread(compiled, np.zeros(compiled.n_dim))[0] == Status.OK


def test_a_run_goes_on_with_another_number_of_threads(compiled, tmp_path):
    expected = sampled(compiled, layout=Layout(1))
    path, options = tmp_path / "run", {"discard_tuned_samples": False}
    sample_numba(compiled, **SHORT | options | {"draws": 10}, checkpoint=path, layout=Layout(2, tile_threads=2))
    again = {"progressbar": False, "compute_convergence_checks": False}
    result = resume(path, model=compiled, draws=30, layout=Layout(1), **again)
    assert draws_of(result) == expected


def test_a_run_goes_on_with_as_many_threads_as_it_had(compiled, tmp_path):
    path, quiet = tmp_path / "run", {"progressbar": False, "compute_convergence_checks": False}
    asked = SHORT | {"chains": 1, "draws": 10}
    sample_numba(compiled, **asked, checkpoint=path, layout=Layout(1, tile_threads=2))
    for draws, layout, n_threads in ((11, "auto", 2), (12, Layout(1), 1), (13, "auto", 1)):
        result = resume(path, model=compiled, draws=draws, layout=layout, **quiet)
        assert result.attrs["tile_threads"] == n_threads


def test_threads_end_with_the_run(compiled):
    def press(snapshot):
        signal.raise_signal(signal.SIGINT)

    result = sample_numba(compiled, **SHORT | {"draws": 100_000}, layout=Layout(2, tile_threads=2), callback=press)
    assert result.attrs["stopped_by"] == "SIGINT"
    with pytest.raises(LayoutError):
        sample_numba(compiled, **SHORT, layout=Layout(1, 1, "none-such", 2))
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("nutmill")]


def test_a_saved_model_has_tiles_too(compiled, tmp_path):
    compiled.save(tmp_path / "model.nut")
    other = load(tmp_path / "model.nut")
    assert other.code.has_tiles
    assert_as_with_one_thread(other, np.full(other.n_dim, 0.1))


def test_tasks_of_an_executor_have_threads_too(compiled):
    expected = sampled(compiled, layout=Layout(2))
    with ThreadPoolExecutor(1) as executor:
        result = sample_numba(
            compiled,
            **SHORT | {"discard_tuned_samples": False},
            layout=Layout(2, tile_threads=2),
            executor=executor,
        )
    assert draws_of(result) == expected
    assert result.attrs["tile_threads"] == 2


def test_two_runs_in_one_process_have_threads_of_their_own(compiled):
    expected = sampled(compiled, layout=Layout(1))
    with ThreadPoolExecutor(2) as executor:
        runs = [executor.submit(sampled, compiled, layout=Layout(1, tile_threads=2)) for _ in range(2)]
        assert all(run.result() == expected for run in runs)


def test_the_search_measures_tile_threads_and_profiles_keep_them(compiled):
    found = find_layout(compiled, chains=1, budget_s=2.0, use_profile=False, keep=False)
    layouts = {measurement.layout for measurement in found.profile.sweep.measurements}
    assert layouts >= {Layout(1), Layout(1, tile_threads=2)}
    assert {layout.blas_threads for layout in layouts} == {1}  # nothing of this model is BLAS
    kept = json.loads(json.dumps(found.profile.as_dict()))
    assert Profile.from_dict(kept) == found.profile
    # As profiles of before are.
    old = [one for one in kept["sweep"]["measurements"] if one["layout"].pop("tile_threads") == 1]
    kept["sweep"] |= {"measurements": old, "best": old[0]["layout"], "runner_up": None, "margin": None}
    assert {one.layout.tile_threads for one in Profile.from_dict(kept).sweep.measurements} == {1}


def test_the_result_says_how_many_threads_there_were(compiled):
    result = sample_numba(compiled, **SHORT, layout=Layout(1, tile_threads=2))
    assert result.attrs["tile_threads"] == 2
    assert json.loads(result.attrs["cpu_layout"])["requested"]["tile_threads"] == 2


def test_threads_without_tiles_are_said_to_do_nothing(caplog):
    with pm.Model() as model:
        pm.Normal("x")
    result = sample_numba(model, **SHORT, layout=Layout(1, tile_threads=2))
    assert result.attrs["tile_threads"] == 1
    assert "tile_threads=2 changes nothing for this model" in caplog.text


def test_layouts_that_cannot_be_had(compiled):
    for count in (0, -1, 1.5, True, "2"):
        with pytest.raises(LayoutError, match="tile_threads must be a whole number, at least 1"):
            Layout(1, tile_threads=count)
    with pytest.raises(LayoutError, match=r"tile_threads=999 is more than the .* of this process: use"):
        sample_numba(compiled, **SHORT, layout=Layout(1, tile_threads=999))
    with pytest.raises(LayoutError, match="tile_threads=999"), apply_layout(Layout(1, tile_threads=999)):
        pass


def test_layouts_of_before_have_one_tile_thread():
    assert Layout.from_dict({"chains_at_once": 4, "blas_threads": 2, "blas": None}) == Layout(4, 2)
    assert Layout.from_dict(Layout(4, 2, tile_threads=3).as_dict()) == Layout(4, 2, tile_threads=3)
    assert Layout(4, 2, tile_threads=3).numerics == Layout(4, 2).numerics
