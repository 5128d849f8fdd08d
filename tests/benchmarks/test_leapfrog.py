"""The price of a leapfrog step: what is measured, and that the table shows the least of all rounds."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import leapfrog, leapfrog_cell, report


def row(number: int, centring: str | None, **changes) -> dict:
    """Return what one process leaves, with changes."""
    measured = {"gradient_us": 0.03, "leapfrog_us": 0.13, "steps": 7.0, "between": 0} | changes
    return {"model": "some", "sources": ".", "centring": centring, "round": number, "measurement": measured}


def test_the_least_of_all_rounds_is_shown():
    failed = {"model": "some", "sources": ".", "centring": "auto", "round": 3, "failure": "no result"}
    rows = [row(1, "auto", between=4), row(1, "off"), row(2, "auto", leapfrog_us=0.125, between=4), failed]
    (told,) = leapfrog.sections({"rows": rows})
    assert "| some | . | auto | 0.03 | 0.125 | 7.00 | 4 |" in told
    assert "| some | . | off | 0.03 | 0.13 | 7.00 | 0 |" in told


def test_steps_are_compared_with_those_before_centring():
    before = [row(1, None, leapfrog_us=0.12) | {"sources": "e955565"}]
    dearer = [row(1, "off"), row(1, "auto", leapfrog_us=0.132), row(2, "auto", leapfrog_us=0.126)]
    _, goals = leapfrog.sections({"rows": before + dearer})
    assert "| some: a step at defaults, times one of e955565 | 1.05 | < 1.03 | **missed** |" in goals
    _, goals = leapfrog.sections({"rows": [*before, *dearer, row(3, "auto", leapfrog_us=0.108)]})
    assert "| 0.9 | < 1.03 | met |" in goals


def test_sources_are_those_of_a_checkout_or_of_a_commit():
    with leapfrog.checkout_of(".") as folder:
        assert folder == Path()
    if subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, check=False).returncode == 0:
        with leapfrog.checkout_of("HEAD") as folder:
            assert (folder / "src/nutmill/__init__.py").is_file()
        assert not folder.exists()
    with pytest.raises(SystemExit, match="neither a checkout nor a commit"), leapfrog.checkout_of("no-such-thing"):
        pass


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
