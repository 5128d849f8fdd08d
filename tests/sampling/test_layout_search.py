"""Layouts of compiled models: searched, kept, asked for, applied, and what they change in draws."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
import zoo
from campaigns.process_state import thread_counts

from nutmill import ArgumentError, Layout, LayoutError, ModelError, compile_model, find_layout, sample_numba
from nutmill.layout import profile as profiles
from nutmill.layout.applied import apply_layout
from nutmill.layout.blas.find import installed_blas
from nutmill.layout.machine.topology import topology as read_topology
from nutmill.results.trace import group
from nutmill.sampling import chosen_layout as search
from nutmill.sampling.layout_workload import Gradients, natives_for

QUIET = {"progressbar": False, "compute_convergence_checks": False}
SHORT = {"draws": 20, "tune": 30, "chains": 3, "random_seed": 1, **QUIET}


@pytest.fixture(scope="module")
def process():
    """A Gaussian process of thirty points: its gradient calls BLAS and LAPACK."""
    return compile_model(zoo.gaussian_process())


@pytest.fixture
def own_folder(model_cache):
    """A folder for profiles, with nothing in it but the compiled kernel."""
    return model_cache


def drawn(compiled, **options):
    result = sample_numba(compiled, **SHORT | options)
    return result, json.loads(result.attrs["cpu_layout"])


def keep(found, confidence):
    """Keep a profile as if the machine had been quiet, or busy."""
    profiles.save(replace(found.profile, sweep=replace(found.profile.sweep, confidence=confidence)))


def values_of(result):
    return {variable: array.values for variable, array in group(result, "posterior").items()}


def test_a_search_measures_the_model_and_is_kept(process, own_folder):
    found = find_layout(process, chains=2, budget_s=3.0)
    assert found.source == "sweep" and found.profile.sweep.measurements
    assert found.path.parent == own_folder / "profiles" and found.path.is_file()
    assert found.layout == found.profile.layout
    keep(found, "high")
    again = find_layout(process, chains=2)
    assert again.source == "profile" and again.layout == found.layout
    _, layout = drawn(process, chains=2, layout=found.path)
    assert layout["source"] == "requested" and layout["requested"] == found.layout.as_dict()


def test_auto_takes_the_stored_profile(process, own_folder):
    found = find_layout(process, chains=3, budget_s=3.0)
    keep(found, "high")
    _, layout = drawn(process)
    assert layout["source"] == "profile" and layout["requested"] == found.layout.as_dict()
    (note,) = layout["notes"]
    assert note.startswith(f'layout="auto" took {found.layout!s}, stored as a profile on 20')
    keep(found, "low")
    _, layout = drawn(process)
    assert layout["source"] == "default" and layout["notes"] == []


def with_openblas(found, **changes):
    """What was found, as if the second library of the tests' environment had won, in a profile of high confidence."""
    profile, best = found.profile, Layout(1, 1, "openblas")
    libraries = tuple(one._replace(**changes) if one.blas == "openblas" else one for one in profile.libraries)
    sweep = replace(profile.sweep, best=best, confidence="high")
    return replace(profile, sweep=sweep, libraries=libraries)


def test_every_library_is_measured_and_the_one_of_a_profile_is_used(process, own_folder):
    found = find_layout(process, chains=3, budget_s=3.0, keep=False)
    assert [one.blas for one in found.profile.libraries][:1] == [None]
    assert {"openblas", None} <= {row.layout.blas for row in found.profile.sweep.table()}
    profile = with_openblas(found)
    path = profiles.save(profile)
    result, layout = drawn(process)
    assert layout["source"] == "profile" and layout["requested"] == Layout(1, 1, "openblas").as_dict()
    used = next(one for one in profile.libraries if one.blas == "openblas")
    assert (layout["blas"]["path"], layout["blas"]["version"]) == (used.path, used.version)
    assert layout["blas"]["digest"] == used.digest and layout["blas_threads"] == 1
    assert "Draws are those of 1 BLAS thread a chain of openblas" in layout["notes"][0]
    named, layout = drawn(process, layout=path)
    assert layout["source"] == "requested" and layout["blas"]["path"] == used.path
    same, _ = drawn(process, layout=Layout(3, 1, "openblas"))
    for variable, values in values_of(result).items():
        np.testing.assert_array_equal(values, values_of(named)[variable])
        np.testing.assert_array_equal(values, values_of(same)[variable])


def test_a_profile_of_another_library_does_not_hold_and_says_so(process, own_folder, caplog):
    found = find_layout(process, chains=3, budget_s=3.0, keep=False)
    path = profiles.save(with_openblas(found, digest="0" * 64, version="0.3.1"))
    named = own_folder / "layout.json"
    for options, what in (({}, "The layout profile of 20"), ({"layout": named}, str(named))):
        caplog.clear()
        result, layout = drawn(process, **options)
        assert layout["source"] == "default" and layout["requested"]["blas"] is None
        (note,) = layout["notes"]
        assert note.startswith(what) and note in caplog.text
        assert re.search(
            r"does not hold here: openblas 0\.3\.1 \(.*\) is not here: what is here is openblas 0\.3\.", note
        )
        assert note.endswith("Before a long run, layouts are measured anew.")
        if path.exists():
            path.rename(named)
    plain, _ = drawn(process, layout=None)
    for variable, values in values_of(plain).items():
        np.testing.assert_array_equal(values, values_of(result)[variable])


def test_a_library_that_came_since_is_told_and_measured_where_the_run_is_long(process, own_folder, monkeypatch):
    found = find_layout(process, chains=3, budget_s=3.0, keep=False)
    known = tuple(path for path in found.profile.known_files if "scipy_openblas32" not in path)
    sweep = replace(found.profile.sweep, confidence="high", best=Layout(2))
    profiles.save(replace(found.profile, sweep=sweep, known_files=known))
    _, layout = drawn(process)
    assert layout["source"] == "profile"
    assert any("came after the layout was measured: `nutmill tune` measures it too" in note for note in layout["notes"])
    monkeypatch.setattr(search, "_gradient_s", lambda *_: 10.0)
    monkeypatch.setattr(search, "find_layout", lambda *_, **__: found)
    sizes = {"chains": 3, "draws": 300, "cores": None, "topology": read_topology()}
    assert search.layout_for(process, "auto", **sizes).source == "sweep"


def test_one_library_alone_where_the_user_says_so_or_nothing_calls_any(process, own_folder):
    found = find_layout(process, chains=1, budget_s=2.0, blas=(None,), keep=False)
    assert [one.blas for one in found.profile.libraries] == [None]
    with pm.Model() as model:
        pm.Normal("x")
    found = find_layout(compile_model(model), chains=1, budget_s=2.0, keep=False)
    assert [one.blas for one in found.profile.libraries] == [None]


def test_a_measurement_that_changes_the_bits_of_draws_says_so(process, own_folder, monkeypatch, caplog):
    measured = find_layout(process, chains=3, budget_s=3.0, keep=False)
    best = replace(measured.profile, sweep=replace(measured.profile.sweep, best=Layout(1, 2)))
    found = measured._replace(layout=Layout(1, 2), profile=best)
    monkeypatch.setattr(search, "find_layout", lambda *_, **__: found)
    monkeypatch.setattr(search, "_gradient_s", lambda *_: 10.0)
    with monkeypatch.context() as two_cores:
        two_cores.setattr("nutmill.sampling.sample.read_topology", lambda: replace(read_topology(), n_cores=2))
        result, layout = drawn(process)
    sentence = "Draws are those of 2 BLAS threads a chain: a layout= with as many gives the same again"
    assert sentence in layout["notes"][0] and sentence in caplog.text
    assert result.attrs["blas_threads"] == 2
    same, _ = drawn(process, layout=Layout(3, 2))
    for variable, values in values_of(result).items():
        np.testing.assert_array_equal(values, values_of(same)[variable])


def test_a_profile_of_a_busy_machine_is_taken_where_it_is_named_with_a_word(process, own_folder, caplog):
    found = find_layout(process, chains=3, budget_s=3.0)
    keep(found, "low")
    _, layout = drawn(process, layout=found.path)
    assert layout["source"] == "requested" and "low confidence" in layout["notes"][0]
    assert "measured with low confidence: tune again when the machine is quiet" in caplog.text


def test_a_short_run_is_not_searched_for(process, own_folder):
    _, layout = drawn(process)
    assert layout["source"] == "default" and layout["requested"]["blas_threads"] == 1
    assert not (own_folder / "profiles").exists()


def test_a_long_run_is_searched_for_within_its_share(process, own_folder, monkeypatch):
    asked, found = {}, find_layout(process, chains=3, budget_s=3.0, keep=False)

    def find(compiled, **options):
        asked.update(options)
        return found

    monkeypatch.setattr(search, "find_layout", find)
    monkeypatch.setattr(search, "_gradient_s", lambda *_: 1e-2)
    machine = read_topology()
    sizes = {"chains": 2 * machine.n_cores, "draws": 300, "cores": None, "topology": machine}
    if machine.n_cores == 1:
        pytest.skip("one core has one layout")
    assert search.layout_for(process, "auto", **sizes).source == "sweep"
    # Two waves of (300 + 200) draws of 15 gradients of 10 ms are 150 s.
    assert asked["budget_s"] == pytest.approx(7.5)
    asked.clear()
    one_wave = sizes | {"chains": machine.n_cores, "draws": 100}  # 45 s
    assert search.layout_for(process, "auto", **one_wave).source == "default"
    assert not asked


def test_draws_do_not_depend_on_chains_at_once(process):
    one, _ = drawn(process, layout=Layout(1))
    for layout in (Layout(2), Layout(3)):
        other, _ = drawn(process, layout=layout)
        for variable, values in values_of(one).items():
            np.testing.assert_array_equal(values, values_of(other)[variable])


def test_what_took_effect_stands_beside_what_was_asked(process):
    before = thread_counts()
    _, layout = drawn(process, layout=Layout(1, 2))
    assert layout["requested"]["blas_threads"] == 2 and layout["source"] == "requested"
    assert [worker["blas_threads"] for worker in layout["workers"]] == [2]
    assert layout["blas"]["name"] == "openblas" and not layout["notes"]
    assert thread_counts() == before


def test_another_blas_gives_the_same_density(process):
    others = [library for library in installed_blas() if library.path != installed_blas()[0].path]
    assert others, "scipy-openblas32 of the test extra is missing"
    position = process.starts(None, 1, 0, jitter=True)[0]
    _, logp, gradient = process.binding.density(position)
    layout = Layout(1, blas=str(others[0].path))
    with apply_layout(layout) as applied, natives_for(process, applied) as (native,):
        _, other_logp, other_gradient = native.density(position)
    assert other_logp == pytest.approx(logp, rel=1e-10)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-8)


def test_a_model_without_blas_needs_no_other():
    with pm.Model() as model:
        pm.Normal("x")
    compiled = compile_model(model)
    with apply_layout(Layout(2, blas="openblas")) as applied, natives_for(compiled, applied) as natives:
        assert natives == [compiled.binding]


def test_gradients_as_a_workload_run_as_often_as_asked(process):
    position = process.starts(None, 1, 0, jitter=True)[0]
    assert process.binding.repeated(position)(3) == 0
    assert process.binding.repeated(np.full(process.n_dim, np.nan))(3) in (0, 3)
    assert Gradients(process)(0, 2) is None


def test_workers_beyond_the_chains_are_left_out(process):
    _, layout = drawn(process, chains=1, layout=Layout(8))
    assert layout["requested"]["chains_at_once"] == 1


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"layout": Layout(1), "cores": 2}, ModelError, "either layout= or cores="),
        ({"layout": 3}, ArgumentError, 'layout must be "auto", a Layout, the path of a layout profile, or None'),
        ({"layout": "no/such/profile.json"}, LayoutError, "no/such/profile.json cannot be read"),
        ({"layout": Layout(1, blas="none-such")}, LayoutError, "none-such"),
        ({"draws": 10**12}, ModelError, "3 chains of 1000000000000 draws need about .* GB, and this process may use"),
        ({"tune": 10**11}, ModelError, "3 chains of 100000000000 draws of warmup need about .* GB, and this process"),
    ],
)
def test_layouts_that_cannot_be_had(process, options, kind, message):
    before = thread_counts()
    with pytest.raises(kind, match=message):
        sample_numba(process, **SHORT | options)
    assert thread_counts() == before


def test_a_model_behind_a_pointer_keeps_scipy_s_blas():
    with pm.Model() as model:
        pm.Normal("x")
    compiled = compile_model(model, fuse=False)
    with pytest.raises(LayoutError, match="runs through a pointer"):
        sample_numba(compiled, **SHORT, layout=Layout(2, blas="openblas"))


def test_sample_numba_takes_a_layout(process):
    result = sample_numba(process, layout=Layout(1), **SHORT)
    assert json.loads(result.attrs["cpu_layout"])["requested"]["chains_at_once"] == 1


def test_local_workers_take_the_library_of_a_profile(process, own_folder):
    path = profiles.save(with_openblas(find_layout(process, chains=3, budget_s=3.0, keep=False)))
    with ThreadPoolExecutor(1) as pool:
        apart, layout = drawn(process, executor=pool)
        assert layout["tasks"] == Layout(1, 1, "openblas").as_dict() and "openblas" in layout["notes"][0]
        here, _ = drawn(process)
        for variable, values in values_of(here).items():
            np.testing.assert_array_equal(values, values_of(apart)[variable])
        path.unlink()
        assert drawn(process, executor=pool)[1]["tasks"] == Layout(1).as_dict()
