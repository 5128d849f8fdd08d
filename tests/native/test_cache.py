"""The cache of compiled code: what it gives back, whom it does not believe, and what a bad folder costs."""

import json
import logging
import os
import shutil
import time

import pytest
from processes import output_of, start

from nutmill.native import cache, cache_lock, cache_space
from nutmill.native.container import Damaged, Entry, Header, pack, unpack

HERE = {"cpu": "this one", "numba": "1.2"}
ENTRY = Entry({"n": 3, "names": ["a", "ü"]}, {"first": bytes(range(256)), "second": b"", "third": b"\n\0\n"})
KEY = "0123abcd"


@pytest.fixture(autouse=True)
def folder(model_cache, monkeypatch):
    """An empty cache, and short waits for its lock."""
    shutil.rmtree(model_cache, ignore_errors=True)
    monkeypatch.setattr(cache_lock, "_WAIT_S", 0.1)
    return model_cache


def store(key: str = KEY, entry: Entry = ENTRY) -> bool:
    return cache.store("thing", key, HERE, entry, about="a thing")


def load(key: str = KEY) -> Entry | None:
    return cache.load("thing", key, HERE)


def path_of(folder, key: str = KEY):
    return folder / f"thing-{key}.entry"


def temporaries(folder) -> list:
    return list(folder.glob("*.tmp"))


def test_an_entry_comes_back_as_it_was():
    assert load() is None
    assert store()
    assert load() == ENTRY
    assert load("0123abce") is None
    assert cache.load("other", KEY, HERE) is None


def test_an_entry_is_made_once(folder):
    made = []

    def make() -> Entry:
        made.append(1)
        return ENTRY

    for may_keep, n_made in ((False, 1), (True, 2), (True, 2)):
        assert cache.recall("thing", KEY, HERE, make, may_keep=lambda keep=may_keep: keep) == ENTRY
        assert len(made) == n_made


def test_the_first_of_two_wins():
    store()
    store(entry=Entry({}, {"object": b"another"}))
    assert load() == ENTRY


def test_listing_tells_what_there_is(folder):
    store("a")
    store("b")
    os.utime(path_of(folder, "a"), (1.0, 1.0))
    (folder / "thing-c.entry").write_bytes(b"something else")
    c, b, a = cache_space.listing()
    assert [path_of(folder, key) for key in "cba"] == [c.path, b.path, a.path]
    assert c.header is None and a.header.about == "a thing" and a.header.environment == HERE
    assert a.used == 1.0 and a.n_bytes == path_of(folder, "a").stat().st_size
    assert cache_space.clear() == 3 and cache_space.listing() == []


def refused(caplog) -> str:
    """Load, which must fail and say why; store, which must mend it."""
    caplog.set_level(logging.INFO, "nutmill")
    assert load() is None
    assert store() and load() == ENTRY
    return caplog.text


def test_a_cut_entry_is_rebuilt(folder, caplog):
    store()
    content = path_of(folder).read_bytes()
    for length in (0, 1, 15, 16, 80, 81, 82, 200, len(content) - 1):
        path_of(folder).write_bytes(content[:length])
        assert "rebuilt" in refused(caplog)


def test_a_flipped_bit_is_seen_wherever_it_is(folder):
    store()
    content = path_of(folder).read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(Damaged):
            unpack(bytes(flipped))
    for longer in (content + b"\0", b"\0" + content, content * 2):
        with pytest.raises(Damaged):
            unpack(longer)


def test_an_entry_of_another_version_is_rebuilt(folder, caplog):
    store()
    path_of(folder).write_bytes(path_of(folder).read_bytes().replace(b"nutmill cache 1", b"nutmill cache 0"))
    assert "of this version" in refused(caplog)


@pytest.mark.parametrize("others", [{"cpu": "another"}, {"numba": "1.3"}, {"new": "fact"}])
def test_an_entry_of_another_machine_or_version_is_rebuilt(folder, caplog, others):
    """Its checksum fits, so that only the header tells."""
    header = Header("thing", KEY, HERE | others, "", {}, [])
    folder.mkdir()
    path_of(folder).write_bytes(pack(header, {"object": b"for another machine"}))
    assert f"made for another {next(iter(others))}" in refused(caplog)


def test_an_entry_under_a_wrong_name_is_rebuilt(folder, caplog):
    store("another")
    path_of(folder, "another").rename(path_of(folder))
    assert "another entry under this name" in refused(caplog)


def test_a_header_that_is_no_header_is_damaged():
    for line in (b"", b"[]", b"{}", json.dumps({"kind": 1}).encode()):
        good = pack(Header("", "", {}, "", {}, []), {})
        with pytest.raises(Damaged):
            from nutmill.native.container import unpack_header

            unpack_header(good[: good.index(b"\n", 20) + 1] + line)


def test_what_was_used_longest_ago_goes_first(folder, monkeypatch):
    size = len(pack(Header("thing", "a", HERE, "a thing", ENTRY.manifest, []), ENTRY.parts))
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", str(3 * size + size // 2))
    for age, key in enumerate("abc"):
        store(key)
        os.utime(path_of(folder, key), (1000.0 + age, 1000.0 + age))
    assert load("a") == ENTRY  # used now
    store("d")
    assert [load(key) is not None for key in "abcd"] == [True, False, True, True]
    assert cache_space.prune(2 * size) == 1 and cache_space.prune(2 * size) == 0
    assert len(cache_space.listing()) == 2


def test_room_is_made_for_more_than_one_entry_at_a_time(folder, monkeypatch):
    size = len(pack(Header("thing", "00", HERE, "a thing", ENTRY.manifest, []), ENTRY.parts))
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", str(20 * size))
    left = []
    for age in range(24):
        store(f"{age:02}")
        os.utime(path_of(folder, f"{age:02}"), (1000.0 + age, 1000.0 + age))
        left.append(len(cache_space.listing()))
    assert left == [*range(1, 21), 18, 19, 20, 18]


@pytest.mark.parametrize("note", [None, b"", b"many bytes", b"0 0"])
def test_entries_that_no_note_counts_make_room_all_the_same(folder, monkeypatch, note):
    """The note of the size is lost, damaged, or old, when others have copied entries into the folder."""
    for key in "abcd":
        store(key)
    size = path_of(folder, "a").stat().st_size
    (folder / "size").unlink()
    if note is not None:
        (folder / "size").write_bytes(note)
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", str(3 * size))
    store("e")
    assert len(cache_space.listing()) == 2


@pytest.mark.parametrize(
    ("given", "n_bytes"), [("0", 0), ("7", 7), ("2K", 2048), ("1.5 m", 3 << 19), ("2GB", 2 << 30), ("1GiB", 1 << 30)]
)
def test_limits_are_read_with_their_units(monkeypatch, given, n_bytes):
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", given)
    assert cache_space.limit_bytes() == n_bytes


def test_a_limit_of_zero_keeps_nothing(folder, monkeypatch):
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", "0")
    assert not store() and not folder.exists()


def test_a_limit_that_is_none_is_said_so(monkeypatch, caplog):
    monkeypatch.setenv("NUTMILL_CACHE_LIMIT", "much")
    assert cache_space.limit_bytes() == 1 << 30
    assert "no size such as 500M" in caplog.text


def test_a_file_in_the_place_of_the_folder(folder, caplog):
    caplog.set_level(logging.INFO, "nutmill")
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    assert load() is None and not store() and cache_space.listing() == [] and cache_space.prune() == 0
    assert "is not kept in" in caplog.text and folder.read_text() == "a file"


def test_a_folder_that_nobody_may_write(monkeypatch):
    """Not even root makes folders in /proc."""
    monkeypatch.setenv("NUTMILL_CACHE_DIR", "/proc/nutmill")
    assert load() is None and not store() and cache_space.clear() == 0
    assert cache.recall("thing", KEY, HERE, lambda: ENTRY, may_keep=lambda: True) == ENTRY


def test_a_folder_that_is_full(folder):
    """A process that may not write more than 512 bytes to a file, as on a full disk."""
    code = f"""
import resource
from nutmill.native import cache
from nutmill.native.container import Entry
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
print(cache.store("thing", {KEY!r}, {{}}, Entry({{}}, {{"object": bytes(5000)}})))
print(cache.store("thing", {KEY!r}, {{}}, Entry({{}}, {{"object": bytes(5)}})))
"""
    assert output_of(start(code)).split() == ["False", "True"]
    assert temporaries(folder) == []


def test_a_folder_deleted_before_and_while_an_entry_is_written(folder, monkeypatch):
    def make() -> Entry:
        shutil.rmtree(folder, ignore_errors=True)
        return ENTRY

    store()
    assert cache.recall("thing", "new", HERE, make, may_keep=lambda: True) == ENTRY and load("new") == ENTRY
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: shutil.rmtree(folder))
        assert not store("newer")
    assert not folder.exists() and store("newer") and load("newer") == ENTRY


def test_a_writer_killed_half_way(folder):
    code = f"""
import os, signal
from nutmill.native import cache
from nutmill.native.container import Entry
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
cache.store("thing", {KEY!r}, {{}}, Entry({{}}, {{"object": bytes(5000)}}))
"""
    process = start(code)
    process.communicate()
    assert process.returncode == -9
    assert len(temporaries(folder)) == 1 and (folder / ".lock").exists()
    assert load() is None
    assert store() and load() == ENTRY  # the lock of the dead is waited for, a moment only
    long_ago = time.time() - 7200.0
    for left in (*temporaries(folder), folder / ".lock"):
        os.utime(left, (long_ago, long_ago))
    assert cache_space.prune() == 0
    assert temporaries(folder) == [] and not (folder / ".lock").exists() and load() == ENTRY


def test_many_processes_at_once(folder):
    """Each writes, reads and prunes the same few entries; whatever is read is whole."""
    code = """
import random, sys
from nutmill.native import cache
from nutmill.native.container import Entry
n_found = 0
for turn in range(150):
    key = str(random.randrange(8))
    expected = Entry({"key": key}, {"object": key.encode() * 20_000})
    found = cache.load("thing", key, {})
    assert found in (None, expected)
    n_found += found is not None
    assert cache.store("thing", key, {}, expected)
print(n_found)
"""
    processes = [start(code, NUTMILL_CACHE_LIMIT="100K") for _ in range(4)]
    assert all(int(output_of(process)) > 0 for process in processes)
    assert 1 <= len(cache_space.listing()) <= 5
    assert temporaries(folder) == [] and not (folder / ".lock").exists()
