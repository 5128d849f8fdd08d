"""Profiles: found where they hold, passed over with a line where they do not, whole or not there at all."""

import dataclasses
import json
import logging
import os
import re
from types import SimpleNamespace

import pytest
from layout.simulated import KINDS, Machine, seconds_per_unit

from nutmill.errors import LayoutError
from nutmill.layout import profile as profiles
from nutmill.layout.blas.find import find_blas
from nutmill.layout.profile import BlasKey, Profile, find, load, profile_folder, save
from nutmill.layout.search.sweep import sweep

BLAS = BlasKey("openblas", "0.3.30")
SIZES = {"cholesky": 3, "n_dim": "10-100"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(profiles, "_kept_in_memory", {})
    return tmp_path / "cache" / "profiles"


@pytest.fixture(scope="module")
def found():
    machine = Machine(lambda layout: seconds_per_unit(KINDS["gp 1000"], 8, layout), noise=0.05)
    return sweep(None, SimpleNamespace(n_cores=8), chains=4, measure=machine.measure, clock=machine.clock)


@pytest.fixture
def profile(found):
    return Profile("a1b2", "AMD EPYC, 8 cores", BLAS, "f00d", SIZES, found)


def changed(profile, **changes):
    return dataclasses.replace(profile, **changes)


def test_profiles_lie_in_the_folder_of_the_cache(monkeypatch, tmp_path):
    assert profile_folder() == tmp_path / "cache" / "profiles"
    monkeypatch.delenv("NUTMILL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert profile_folder() == tmp_path / "xdg" / "nutmill" / "profiles"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile_folder() == tmp_path / ".cache" / "nutmill" / "profiles"


def test_a_library_that_does_not_tell_its_version_has_profiles_too(profile):
    key = BlasKey.of(dataclasses.replace(find_blas(), version=None))
    assert key == (find_blas().name, "unknown")
    kept = changed(profile, blas=key)
    assert load(save(kept)) == kept


def test_what_is_kept_is_found_again(profile, folder, caplog):
    path = save(profile)
    assert path.parent == folder
    assert [file.name for file in folder.iterdir()] == [path.name]
    with caplog.at_level(logging.INFO, "nutmill"):
        again = find("a1b2", BLAS, "f00d", {})
    assert again == profile
    assert again.layout == profile.sweep.best
    assert not caplog.records
    assert load(path) == profile


def test_the_file_says_what_people_ask(profile):
    values = json.loads(save(profile).read_text())
    assert values["schema"] == profiles.SCHEMA
    assert values["machine"] == {"fingerprint": "a1b2", "description": "AMD EPYC, 8 cores"}
    assert values["blas"] == {"name": "openblas", "version": "0.3.30"}
    assert values["workload"] == {"fingerprint": "f00d", "size_class": SIZES}
    assert values["sweep"]["best"] == profile.sweep.best.as_dict()
    assert values["sweep"]["runner_up"] and values["sweep"]["confidence"] == "high"
    assert len(values["sweep"]["measurements"]) == len(profile.sweep.measurements)
    assert values["created"].startswith("20") and values["nutmill"]


def test_the_size_class_is_second_best(profile):
    save(profile)
    save(changed(profile, workload="beef", size_class={"n_dim": "1-10"}))
    assert find("a1b2", BLAS, "beef", SIZES).workload == "beef"
    assert find("a1b2", BLAS, "unknown", {"n_dim": "10-100", "cholesky": 3}).workload == "f00d"
    assert find("a1b2", BLAS, "unknown", {"n_dim": "huge"}) is None


def test_the_newest_of_a_size_class(profile):
    save(changed(profile, workload="old", created="2026-01-01T00:00:00+00:00"))
    save(changed(profile, workload="new", created="2026-02-01T00:00:00+00:00"))
    save(changed(profile, workload="older", created="2025-01-01T00:00:00+00:00"))
    assert find("a1b2", BLAS, "unknown", SIZES).workload == "new"


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"machine": "ffff"}, "from another machine"),
        ({"nutmill": "0.0.1"}, "from another version of nutmill"),
        ({"blas": BlasKey("openblas", "0.3.29")}, "measured with openblas 0.3.29"),
        ({"blas": BlasKey("mkl", "0.3.30")}, "measured with mkl 0.3.30"),
    ],
)
def test_profiles_of_another_machine_version_or_blas_are_passed_over(profile, caplog, changes, reason):
    save(changed(profile, **changes))
    save(changed(profile, **changes, workload="beef"))
    with caplog.at_level(logging.INFO, "nutmill"):
        assert find("a1b2", BLAS, "f00d", SIZES) is None
    (record,) = caplog.records
    assert f"2 x {reason}" in record.message


def damages():
    yield "empty", lambda text: ""
    yield "cut off", lambda text: text[: len(text) // 2]
    yield "without the last character", lambda text: text[:-1]
    yield "not a mapping", lambda text: "[1, 2]"
    yield "a number", lambda text: "7"
    yield "another schema", lambda text: text.replace('"schema": 1', '"schema": 2')
    yield "no schema", lambda text: text.replace('"schema"', '"scheme"')
    yield "no layout", lambda text: text.replace('"best"', '"beast"')
    yield "an impossible layout", lambda text: text.replace('"chains_at_once": 4', '"chains_at_once": -4')
    yield "text for a number", lambda text: text.replace('"seconds": ', '"seconds": "x", "y": ')
    yield "no numbers", lambda text: text.replace('"seconds": ', '"seconds": NaN, "y": ')
    yield "nested too deep", lambda text: "[" * 100_000


@pytest.mark.parametrize("damage, change", list(damages()))
def test_damaged_profiles_are_passed_over(profile, caplog, damage, change):
    path = save(profile)
    assert find("a1b2", BLAS, "f00d", SIZES) == profile
    assert change(path.read_text()) != path.read_text()
    path.write_text(change(path.read_text()))
    with caplog.at_level(logging.INFO, "nutmill"):
        assert find("a1b2", BLAS, "f00d", SIZES) is None
    (record,) = caplog.records
    assert path.name in record.message
    with pytest.raises(LayoutError, match=f"{re.escape(path.name)} cannot be used: "):
        load(path)


def test_bytes_that_are_no_text(profile):
    path = save(profile)
    path.write_bytes(b"\xff\xfe\x00{}")
    assert find("a1b2", BLAS, "f00d", SIZES) is None
    with pytest.raises(LayoutError, match="cannot be used"):
        load(path)


def test_one_bad_file_does_not_hide_a_good_one(profile, folder, caplog):
    save(profile)
    (folder / "junk.json").write_text("{")
    (folder / "folder.json").mkdir()
    with caplog.at_level(logging.INFO, "nutmill"):
        assert find("a1b2", BLAS, "f00d", SIZES) == profile
    assert not caplog.records  # what fits was found: the rest is nobody's business


def test_no_folder_at_all():
    assert find("a1b2", BLAS, "f00d", SIZES) is None


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(LayoutError, match=r"The layout profile .*nothing.json cannot be read: No such file"):
        load(tmp_path / "nothing.json")
    with pytest.raises(LayoutError, match="cannot be read: it is a folder"):
        load(tmp_path)


def test_a_profile_of_the_user_may_be_from_elsewhere(profile, tmp_path):
    path = save(changed(profile, machine="ffff", nutmill="0.0.1"))
    assert load(path).layout == profile.layout


def test_a_home_that_cannot_be_written(profile, folder, caplog):
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO, "nutmill"):
        assert save(profile) is None
        assert save(changed(profile, workload="beef")) is None
        assert save(profile) is None
    (record,) = caplog.records
    assert "kept in memory only" in record.message and str(folder) in record.message
    assert find("a1b2", BLAS, "beef", {}).workload == "beef"
    assert find("a1b2", BLAS, "f00d", {}) == profile


def test_memory_belongs_to_its_folder(profile, folder, monkeypatch, tmp_path):
    folder.parent.mkdir(parents=True)
    folder.write_text("")
    save(profile)
    monkeypatch.setenv("NUTMILL_CACHE_DIR", str(tmp_path / "other"))
    assert find("a1b2", BLAS, "f00d", SIZES) is None


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(profile, folder, monkeypatch):
    path = save(profile)

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    assert save(changed(profile, machine_description="another")) is None
    assert [file.name for file in folder.iterdir()] == [path.name]
    assert load(path) == profile


def test_saving_again_replaces(profile, folder):
    save(profile)
    path = save(changed(profile, machine_description="again"))
    assert len(list(folder.iterdir())) == 1
    assert load(path).machine_description == "again"


def test_file_names_are_safe_anywhere(profile):
    odd = changed(profile, blas=BlasKey("lib/blas", "1.0 (2026)"), workload="x" * 200)
    assert load(save(odd)) == odd
