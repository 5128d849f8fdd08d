"""What lies in a run folder and is not the run's own: nothing elsewhere is written, nothing of the user is deleted."""

import os
import shutil

import pytest
from checkpoint.checkpointed import resume, run_kept

from nutmill import CheckpointError, status
from nutmill.checkpoint.folder import RunFolder
from nutmill.checkpoint.lock import FolderLock
from nutmill.checkpoint.manifest import MANIFEST
from nutmill.results.result import DrawsMaker
from nutmill.run.checkpoints import read_groups

FILES = ["manifest.json", "lock", "status.json", "model.nut", "adaptation.npz", "starts.npz", "running"]
FOLDERS = ["chains", "groups", "result", "parts"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two checkpoints, which both know of draws."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    run_kept(path, every_s=60.0)
    resume(path, draws=200, every_s=60.0)
    return path


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of the user's, with files of the names that a run has."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("notes.txt", "0000.array", "a-1-01234567.tmp", "00000.draws", "00000.even.state"):
        (folder / name).write_text("mine")
    return folder


def content_of(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


def remove(path):
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("name", FILES + FOLDERS)
def test_links_among_our_names_are_refused(path, elsewhere, name, begun):
    if not begun:
        remove(path)
        path.mkdir()
    before = content_of(elsewhere)
    remove(path / name)
    (path / name).symlink_to(elsewhere if name in FOLDERS else elsewhere / "notes.txt")
    with pytest.raises(CheckpointError, match=f"run/{name} is a link, where a run keeps a f"):
        run_kept(path) if not begun else RunFolder.open(path)
    assert content_of(elsewhere) == before


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
def test_draws_are_written_to_files_of_the_run(path, elsewhere, kind):
    before, file = content_of(elsewhere), path / "chains" / "00000.draws"
    remove(path)
    file.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(elsewhere / ("notes.txt" if kind == "link" else "new"))
    with pytest.raises(
        CheckpointError, match=r"00000\.draws is no file of this run \(it is a (link|pipe|folder)\): rem"
    ):
        run_kept(path)
    assert content_of(elsewhere) == before


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_draws_are_not_read_from_elsewhere(path, elsewhere, kind):
    file = path / "chains" / "00000.draws"
    shutil.copy(file, elsewhere / "copy")
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(elsewhere / "copy")
    with pytest.raises(CheckpointError, match="no checkpoint with its draws is whole"):
        read_groups(path)


def test_only_what_a_dead_process_was_writing_is_removed(path):
    names = {"notes.tmp", "manifest.json-7-0123abcd.tmp", "groups/00000.odd.state-7-0123abcd.tmp", "groups/mine.tmp"}
    for name in names:
        (path / name).write_text("here")
    (path / "folder-7-0123abcd.tmp").mkdir()
    with RunFolder.open(path):
        pass
    assert {name for name in names if (path / name).exists()} == {"notes.tmp", "groups/mine.tmp"}
    assert (path / "folder-7-0123abcd.tmp").exists()


def test_notes_in_the_folder_of_the_result_stay(tmp_path):
    """Arrays of the result before go, whatever lies beside them."""
    for name in ("0000.array", "0003.array", "notes.txt", "0001.array.txt"):
        (tmp_path / name).write_text("here")
    (tmp_path / "0001.array").mkdir()
    (tmp_path / "figures").mkdir()
    maker = DrawsMaker(None, 1, False, tmp_path)
    left = {"notes.txt", "0001.array.txt", "0001.array", "figures"}
    assert {entry.name for entry in tmp_path.iterdir()} == left
    assert [maker._new_file(tmp_path).name for _ in range(2)] == ["0000.array", "0002.array"]


@pytest.mark.parametrize("name", ["status.json", "lock", MANIFEST])
def test_status_does_not_wait_for_a_pipe(path, name):
    remove(path / name)
    os.mkfifo(path / name)
    with pytest.raises(CheckpointError, match=f"{name} is a pipe, where a run keeps a file of its own"):
        status(path)


@pytest.mark.parametrize(
    "content",
    ["[1]", "{}", "", "[" * 100_000, '{"phase": "\\u001b[2J", "draws": 1}', '{"phase": "warmup", "draws": "many"}'],
)
def test_a_status_that_nobody_wrote_is_one_sentence(path, content):
    (path / "status.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"status\.json cannot be read \(.*\): delete it; it is written anew"):
        status(path)


@pytest.mark.parametrize("content", ['{"host": "\\u001b]0;x", "pid": 1, "started": "1"}', "[1]", '{"host": 1}'])
def test_a_lock_that_nobody_wrote_names_nobody(path, content):
    (path / "lock").write_text(content)
    assert status(path)["owner"] is None
    with FolderLock(path / "lock"):
        assert status(path)["owner"]["pid"] == os.getpid()


def test_a_folder_that_goes_away_is_said_to_be_gone(path, tmp_path):
    with RunFolder.open(path) as folder:
        path.rename(tmp_path / "renamed")
        with pytest.raises(CheckpointError, match=r"run is gone: it was deleted or renamed while the run went on"):
            folder.change(folder.manifest["settings"])
