"""`load(strict=True)`: no file that others could have written, or put in the place of the user's own."""

import os

import pytest
from saved import refused, small

from nutmill import load

STRANGER = 65534

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")


@pytest.fixture
def path(tmp_path):
    """A file that is fine, in folders of its own; loaded without `strict`, it always is."""
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent):
        place.chmod(0o755)
    path = folder / "model.nut"
    small().save(path)
    load(path, strict=True)
    yield path
    load(path)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o602])
def test_others_may_write_the_file(path, mode):
    path.chmod(mode)
    with refused(f"others may write {path}; `chmod go-w {path}`, or load it without strict=True"):
        load(path, strict=True)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o644, 0o755])
def test_others_may_read_the_file(path, mode):
    path.chmod(mode)
    load(path, strict=True)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("level", [0, 1])
def test_others_may_write_a_folder_on_the_way(path, level, mode):
    folder = path.parents[level]
    folder.chmod(mode)
    with refused(f"others may write {folder};"):
        load(path, strict=True)


def test_a_sticky_folder_keeps_names(path):
    """As /tmp: others may add files, and not put one in the place of this."""
    path.parent.chmod(0o1777)
    load(path, strict=True)
    path.chmod(0o1666)
    with refused("others may write"):
        load(path, strict=True)


@needs_root
@pytest.mark.parametrize("level", ["file", 0, 1])
def test_it_belongs_to_another_user(path, level):
    place = path if level == "file" else path.parents[level]
    os.chown(place, STRANGER, STRANGER)
    with refused(f"{place} belongs to another user; copy it, or load it without strict=True"):
        load(path, strict=True)


def test_a_link_to_a_file_that_others_may_write(path, tmp_path):
    link = tmp_path / "link.nut"
    link.symlink_to(path)
    load(link, strict=True)
    path.chmod(0o666)
    with refused(f"others may write {path};"):
        load(link, strict=True)


def test_a_link_in_a_folder_that_others_may_write(path, tmp_path):
    """They could lead the link elsewhere."""
    shared = tmp_path / "shared"
    shared.mkdir()
    link = shared / "link.nut"
    link.symlink_to(path)
    shared.chmod(0o777)
    with refused(f"others may write {shared};"):
        load(link, strict=True)
    load(link)


@needs_root
def test_a_link_of_another_user(path, tmp_path):
    link = tmp_path / "link.nut"
    link.symlink_to(path)
    os.lchown(link, STRANGER, STRANGER)
    with refused(f"{link} belongs to another user"):
        load(link, strict=True)
    load(link)


def test_a_relative_path(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    load("model.nut", strict=True)
    path.parent.chmod(0o777)
    with refused(f"others may write {path.parent};"):
        load("model.nut", strict=True)


def test_a_link_to_nothing(path):
    link = path.with_name("link.nut")
    link.symlink_to("nothing")
    with refused(f"The model {link} cannot be read: No such file or directory"):
        load(link, strict=True)
