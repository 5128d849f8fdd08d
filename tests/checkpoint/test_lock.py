"""A run folder has one owner: other processes and threads are refused, and no dead owner keeps it."""

import json
import os
import platform
import subprocess
import sys

import pytest
from checkpoint.checkpointed import resume, run_kept
from processes import environment

from nutmill.checkpoint import lock
from nutmill.checkpoint.folder import RunFolder
from nutmill.checkpoint.lock import FolderLock, Owner, this_process
from nutmill.errors import CheckpointError

HOLD = """
import sys
from pathlib import Path
from nutmill.checkpoint.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment(), **pipes)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def write(path, **owner):
    path.write_text(json.dumps(this_process()._asdict() | owner))


def test_a_folder_is_locked_against_another_process(tmp_path, holder):
    with pytest.raises(CheckpointError, match=f"is in use by process {holder.pid} on {platform.node()}"):
        FolderLock(tmp_path / "lock").__enter__()
    holder.communicate("")
    assert not (tmp_path / "lock").exists()
    with FolderLock(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_killed_process_keeps_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / "lock").exists()
    assert not lock.is_alive(lock.read_owner(tmp_path / "lock"), tmp_path / "lock")
    with FolderLock(tmp_path / "lock"):
        pass


def test_a_folder_is_locked_against_another_thread(tmp_path):
    with (
        FolderLock(tmp_path / "lock"),
        pytest.raises(CheckpointError, match="is in use by another run of this process"),
    ):
        FolderLock(tmp_path / "lock").__enter__()


def test_a_process_number_that_is_used_again_holds_no_lock(tmp_path):
    write(tmp_path / "lock", started="1")
    with FolderLock(tmp_path / "lock"):
        pass


def test_another_host_is_believed_while_it_is_heard_of(tmp_path):
    path = tmp_path / "lock"
    write(path, host="elsewhere")
    with pytest.raises(CheckpointError, match="on elsewhere"):
        FolderLock(path).__enter__()
    then = path.stat().st_mtime - lock.STALE_S - 1
    os.utime(path, (then, then))
    with FolderLock(path):
        assert lock.read_owner(path).host == platform.node()


def test_a_heartbeat_keeps_the_lock_fresh(tmp_path):
    path = tmp_path / "lock"
    with FolderLock(path) as held:
        os.utime(path, (0, 0))
        held.beat()
        assert lock.is_alive(Owner("elsewhere", 1, ""), path)


def test_locks_that_are_not_readable_are_taken(tmp_path):
    (tmp_path / "lock").write_text("{")
    with FolderLock(tmp_path / "lock"):
        pass


def test_a_folder_that_is_in_use_is_not_touched(tmp_path):
    run_kept(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with RunFolder.open(tmp_path / "run"), pytest.raises(CheckpointError, match="in use"):
        resume(tmp_path / "run", draws=400)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
