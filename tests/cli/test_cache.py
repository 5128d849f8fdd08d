"""`nutmill cache`: what is kept is listed, pruned and cleared; what cannot be removed is said so."""

import json
import os
import re
import shutil

import pytest
from typer.testing import CliRunner

from nutmill.cli.app import app
from nutmill.native import cache, cache_space
from nutmill.native.container import Entry


@pytest.fixture
def folder(model_cache):
    """A cache with two entries and a damaged one, the third used first."""
    shutil.rmtree(model_cache, ignore_errors=True)
    for age, key in enumerate("ab"):
        assert cache.store("model", key, {"cpu": "x"}, Entry({}, {"object": bytes(3000)}), about=f"model {key}")
        os.utime(model_cache / f"model-{key}.entry", (2000.0 + age, 2000.0 + age))
    (model_cache / "model-c.entry").write_bytes(b"something else")
    os.utime(model_cache / "model-c.entry", (1000.0, 1000.0))
    return model_cache


def run(*arguments, code=0, env=None):
    result = CliRunner().invoke(app, ["cache", *arguments], env=env)
    assert result.exit_code == code, result.output
    return result.stdout


def test_path_prints_the_folder(folder, nutmill):
    assert run("path") == f"{folder}\n"
    assert json.loads(run("path", "--json")) == {"folder": str(folder)}
    assert nutmill("cache", "path", NUTMILL_CACHE_DIR="/somewhere").stdout == "/somewhere\n"


def test_list_shows_each_entry(folder):
    shown = " ".join(run("list", env={"COLUMNS": "200"}).split())  # so wide that no cell wraps, however long the path
    assert shown.index("model b") < shown.index("model a") < shown.index("damaged, or of another version")
    assert re.search(rf"3 entries in {folder}: \d.\d+ KiB of at most 1 GiB", shown)


def test_list_as_json_holds_each_entry(folder):
    found = json.loads(run("list", "--json"))
    assert (found["folder"], found["limit_bytes"]) == (str(folder), 1 << 30)
    assert found["n_bytes"] == sum(entry["n_bytes"] for entry in found["entries"])
    b, a, c = found["entries"]
    assert (b["about"], a["about"], a["key"], a["environment"]) == ("model b", "model a", "a", {"cpu": "x"})
    assert a["is_readable"] and not c["is_readable"] and "about" not in c
    assert a["used"].startswith("1970-01-01T") and a["path"] == str(folder / "model-a.entry")


def test_an_empty_cache_is_said_so(folder):
    shutil.rmtree(folder)
    assert run("list").startswith("0 entries in ")
    assert json.loads(run("list", "--json"))["entries"] == []
    assert run("prune").startswith("0 entries removed")
    assert run("clear").startswith("0 entries removed")


def test_prune_removes_what_does_not_fit(folder, monkeypatch):
    assert run("prune") == f"0 entries removed from {folder}.\n"
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", "4K")
    assert json.loads(run("prune", "--json")) == {"folder": str(folder), "n_removed": 2}
    assert [entry.path.name for entry in cache_space.listing()] == ["model-b.entry"]


def test_clear_leaves_the_profiles(folder):
    (folder / "profiles").mkdir()
    (folder / "profiles" / "a.json").write_text("{}")
    assert run("clear") == f"3 entries removed from {folder}.\n"
    assert cache_space.listing() == [] and (folder / "profiles" / "a.json").exists()
    assert json.loads(run("clear", "--json"))["n_removed"] == 0


def test_what_cannot_be_removed_is_said_so(tmp_path, nutmill):
    """A folder in the place of an entry; not even root unlinks it."""
    (tmp_path / "model-a.entry").mkdir()
    done = nutmill("cache", "clear", NUTMILL_CACHE_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"nutmill: 1 entry could not be removed from {tmp_path}.\n"
    done = nutmill("cache", "prune", NUTMILL_CACHE_DIR=str(tmp_path), NUTMILL_CACHE_LIMIT="0")
    assert done.returncode == 1 and "does not let" in done.stderr
