"""Unpacks recorded machines: one text file each in `machines/`, written by hand after the kernel's formats.

A line is ``/path: content``; content of more than one line follows, indented. ``include other`` takes over another
machine, whose files may then be replaced. A line that begins with ``[0-3]`` stands for four: n is 0, 1, 2, 3, and
``{4}`` in it is n + 4, ``{4*2}`` is 2n + 4.
"""

import re
import shutil
from pathlib import Path

import pytest

MACHINES = Path(__file__).parent / "machines"


@pytest.fixture
def recorded(tmp_path):
    """Give a function that unpacks a machine by name and returns its root folder.

    Its second argument replaces files by their path; None removes the file or folder.
    """

    def unpack(name, changes=()):
        root = tmp_path / name
        for path, content in files(name).items():
            write(root, path, content)
        for path, content in dict(changes).items():
            write(root, path, content)
        return root

    return unpack


def files(name):
    """Read the files of a recorded machine: path to content."""
    found = {}
    for block in re.split(r"\n(?=[/\[]|include )", (MACHINES / f"{name}.txt").read_text()):
        if block.startswith("include "):
            found |= files(block.split()[1])
        elif not block.startswith("#"):
            found |= dict(entry(block_n) for block_n in repeated(block))
    return found


def repeated(block):
    """Spell out a line that stands for several."""
    match = re.match(r"\[(\d+)-(\d+)\] ", block)
    if match is None:
        return [block]

    def filled(n):
        def value(field):
            return str(int(field[1]) + n * int(field[2] or 1))

        return re.sub(r"\{(\d+)(?:\*(\d+))?\}", value, block[match.end() :])

    return [filled(n) for n in range(int(match[1]), int(match[2]) + 1)]


def entry(block):
    """Split a block into path and content."""
    path, _, content = block.partition(":")
    content = "\n".join(line.removeprefix("    ") for line in content.strip().splitlines())
    # The kernel ends each variable with a null byte.
    return path, content.replace("\n", "\0") if path == "/proc/self/environ" else f"{content}\n"


def write(root, path, content):
    """Write one file below the root, or remove it."""
    place = root / path.lstrip("/")
    if content is None:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
