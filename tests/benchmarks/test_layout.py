"""The whole jobs of `benchmarks.layout`: a job of a small model is timed, and the page says what it was worth."""

import pytest

from benchmarks.layout import job
from benchmarks.layout.tables import costs_section, jobs_sections


@pytest.fixture(scope="module")
def measured():
    return job.measured({"model": "eight_schools", "chains": 2, "rounds": 1})


def test_a_job_is_timed_both_ways(measured):
    assert measured["chosen"] == {"chains_at_once": 2, "blas_threads": 1, "blas": None, "tile_threads": 1}
    assert all(measured[name] > 0 for name in ("scipy_s", "auto_s", "first_s", "bind_s"))


def test_the_page_shows_how_many_times_as_fast_a_job_was():
    mkl = {"chains_at_once": 2, "blas_threads": 1, "blas": "/env/lib/libmkl_rt.so.3", "tile_threads": 1}
    row = {"scipy_s": 17.6, "auto_s": 8.0, "first_s": 11.2, "chosen": mkl, "bind_s": 0.07}
    rows = [{"model": None, "job": "gaussian_process_300", "measurement": row}]
    (section,) = jobs_sections(rows)
    assert section.splitlines()[-1] == "| gaussian_process_300 | 2 x 1 libmkl_rt.so.3 | 17.6 | 8.0 | 2.20 | 11.2 |"
    assert "| binding a loaded model to another library, ms | 70 | < 50 | **missed** |" in costs_section(rows)


def test_a_page_of_a_run_without_jobs_has_no_such_section():
    assert jobs_sections([{"model": "radon", "measurement": {"chosen": {}}}]) == []
