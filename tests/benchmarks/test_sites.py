"""The price of sites: what is measured, and that the table shows the least of all rounds."""

import json

import pytest

from benchmarks import sites, sites_cell


def row(number: int, with_sites: float, without: float, as_written: float) -> dict:
    """Return what one process leaves."""
    gradients = {"without": 1.0, "as_written": as_written, "between": 1.5}
    measured = {"compile_cpu_s": {"with": with_sites, "without": without}, "gradient_us": gradients}
    return {"model": "some", "round": number, "measurement": measured}


def test_the_least_of_all_rounds_is_shown_and_judged():
    failed = {"model": "some", "round": 3, "failure": "no result"}
    rows = [row(1, 1.9, 1.0, 1.1), row(2, 1.25, 1.5, 1.3), failed]
    table, goals = sites.sections({"rows": rows, "settings": {"models": ["some", "other"]}})
    assert "| some | 1.00 | 0.25 | 1 | x 1.10 | x 1.50 |" in table
    assert "other" not in table
    assert "| some: compiling sites, CPU s | 0.25 | < 0.3 | met |" in goals
    assert "| some: a gradient as written, times one without sites | 1.1 | < 1.15 | met |" in goals


@pytest.mark.slow  # compiles twice, and the kernel for a cache of its own
def test_sites_are_there_in_one_of_the_two(tmp_path, monkeypatch):
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    model = sites_cell.MODELS["eight_schools"]()
    compiled = [sites_cell.compiled_anew(model, has_sites=each) for each in (True, False)]
    assert [len(each.code.sites) for each in compiled] == [1, 0]
    assert not any(each.code.from_cache for each in compiled)
    loops = sites_cell.gradients(*(each.binding for each in reversed(compiled)), sites_cell.starting_position(model))
    found = sites_cell.interleaved(loops, 2)
    assert list(found) == ["without", "as_written", "between"]
    assert all(0.0 < each < 1e4 for each in found.values())
    assert json.dumps(found)


@pytest.mark.parametrize("name", sites_cell.MODELS)
@pytest.mark.slow  # builds all models
def test_each_model_has_a_site(name):
    assert sites_cell.pymc_model.find_sites(sites_cell.MODELS[name]())
