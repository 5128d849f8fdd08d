"""The price of a leapfrog step: what is measured, and that the table shows the least of all rounds."""

import json

import pytest

from benchmarks import leapfrog, leapfrog_cell, report


def row(number: int, centring: str, **changes) -> dict:
    """Return what one process leaves, with changes."""
    measured = {"gradient_us": 0.03, "leapfrog_us": 0.13, "steps": 7.0, "between": 0} | changes
    return {"model": "some", "sources": ".", "centring": centring, "round": number, "measurement": measured}


def test_the_least_of_all_rounds_is_shown():
    failed = {"model": "some", "sources": ".", "centring": "auto", "round": 3, "failure": "no result"}
    rows = [row(1, "auto", between=4), row(1, "off"), row(2, "auto", leapfrog_us=0.125, between=4), failed]
    (told,) = leapfrog.sections({"rows": rows})
    assert "| some | . | auto | 0.03 | 0.125 | 7.00 | 4 |" in told
    assert "| some | . | off | 0.03 | 0.13 | 7.00 | 0 |" in told


def check(measured: dict) -> None:
    assert 0.0 < measured["gradient_us"] < measured["leapfrog_us"]
    assert measured["steps"] == pytest.approx(7.0, rel=0.05)


def test_steps_are_measured(tmp_path):
    answer = tmp_path / "answer.json"
    asked = {"model": "tuning/models/schools.py:model", "bursts": 2, "centring": "off"}
    leapfrog_cell.main(json.dumps(asked), str(answer))
    measured = json.loads(answer.read_text())
    check(measured)
    assert measured["between"] == 0


@pytest.mark.slow  # three processes that import PyMC
def test_every_way_is_measured_in_a_process_and_kept(tmp_path):
    asked = ["--models", "eight_schools", "--rounds", "1", "--bursts", "2", "--out", str(tmp_path), "--beside", "."]
    path = leapfrog.main(asked)
    rows = json.loads(path.read_text())["rows"]
    assert [each["centring"] for each in rows] == [None, "off", "auto"]
    for each in rows:
        check(each["measurement"])
    report.main([str(path)])
    assert "| eight_schools | . | auto |" in path.with_suffix(".md").read_text()
