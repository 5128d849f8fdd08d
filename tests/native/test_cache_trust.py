"""Whose code the cache believes: that of this user and of root, where nobody else could have put another."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from processes import start

from nutmill.native import cache, cache_space
from nutmill.native.container import Entry

HERE = {"cpu": "this one"}
ENTRY = Entry({"n": 3}, {"first": bytes(range(256))})
KEY = "0123abcd"


@pytest.fixture(autouse=True)
def folder(model_cache):
    """An empty cache."""
    shutil.rmtree(model_cache, ignore_errors=True)
    return model_cache


def store(key: str = KEY) -> bool:
    return cache.store("thing", key, HERE, ENTRY)


def load(key: str = KEY) -> Entry | None:
    return cache.load("thing", key, HERE)


def path_of(folder):
    return folder / f"thing-{KEY}.entry"


@pytest.mark.parametrize("mode", [0o646, 0o664])
def test_an_entry_that_others_may_write_is_rebuilt(folder, caplog, mode):
    store()
    path_of(folder).chmod(mode)
    assert load() is None and "others may write" in caplog.text
    assert store() and load() == ENTRY
    assert path_of(folder).stat().st_mode & 0o022 == 0


def test_what_the_cache_writes_is_its_owners_whatever_the_umask(folder):
    before = os.umask(0)
    try:
        assert store() and load() == ENTRY
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o022 for path in (folder, path_of(folder))] == [0, 0]


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_that_others_may_write_is_left_alone(folder, caplog, mode):
    store()
    folder.chmod(mode)
    assert load() is None and load("0123abce") is None and not store("new")
    assert {path.name for path in folder.iterdir()} == {path_of(folder).name, "size"}
    assert caplog.text.count("Nothing is kept in or taken from the cache: others may write") == 1
    folder.chmod(0o1777)  # as the system's temporary folder, where nobody replaces what others have
    assert load() == ENTRY


def test_the_usual_folder_is_closed_to_others(tmp_path, monkeypatch):
    """Where a umask of 002 is usual, an older nutmill left it open to the group."""
    monkeypatch.delenv("NUTMILL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "nutmill").mkdir()
    (tmp_path / "nutmill").chmod(0o775)
    assert store() and load() == ENTRY
    assert (tmp_path / "nutmill").stat().st_mode & 0o022 == 0


AS_ANOTHER = f"""
import logging, os, sys
from nutmill.native import cache
logging.basicConfig()
os.setgroups([]), os.setgid(1000), os.setuid(1000)
print(cache.load("thing", {KEY!r}, {HERE!r}))
"""


@pytest.mark.parametrize(
    ("of_folder", "of_file", "is_taken"),
    [(1000, 1000, True), (0, 0, True), (1000, 0, True), (1001, 1001, False), (1000, 1001, False), (1001, 1000, False)],
)
def test_whose_entries_are_taken(monkeypatch, of_folder, of_file, is_taken):
    """User 1000 takes its own and root's; a folder of user 1001 holds what that user wants others to run."""
    if os.getuid():
        pytest.skip("only root may give files away")
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        monkeypatch.setenv("NUTMILL_CACHE_DIR", name)
        assert store()
        folder.chmod(0o755)
        os.chown(path_of(folder), of_file, of_file)
        os.chown(folder, of_folder, of_folder)
        printed, errors = taken_by_another(folder)
    assert (printed.strip() != "None") is is_taken, errors
    assert is_taken or "belongs to another user" in errors


def taken_by_another(folder) -> tuple[str, str]:
    process = start(AS_ANOTHER, NUTMILL_CACHE_DIR=str(folder), HOME=str(folder))
    return process.communicate(timeout=120)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_file_is_not_taken(folder, tmp_path, kind):
    store()
    content = path_of(folder).read_bytes()
    path_of(folder).unlink()
    if kind == "pipe":
        os.mkfifo(path_of(folder))
    elif kind == "folder":
        path_of(folder).mkdir()
    else:
        (tmp_path / "elsewhere").write_bytes(content)
        path_of(folder).symlink_to(tmp_path / "elsewhere")
    assert load() is None and len(cache_space.listing()) == 1
    assert store() is (kind != "folder")
    assert kind != "link" or (tmp_path / "elsewhere").read_bytes() == content
