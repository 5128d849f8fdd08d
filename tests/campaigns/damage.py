"""Damages a file in one of the ways in which files are damaged."""

import os
from pathlib import Path

import numpy as np

KINDS = ("flip", "cut", "append", "zero", "delete", "link", "pipe", "folder")


def damage(file: Path, kind: str, rng: np.random.Generator) -> None:
    """Harm one file in one way."""
    content = bytearray(file.read_bytes())
    first, last = np.sort(rng.integers(0, len(content) + 1, 2))
    if kind == "flip" and content:
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    elif kind == "cut":
        del content[first:]
    elif kind == "append":
        content += rng.bytes(int(rng.integers(1, 100)))
    elif kind == "zero":
        content[first:last] = bytes(int(last - first))
    file.unlink()
    if kind == "link":
        elsewhere = file.parents[1] / "elsewhere"
        elsewhere.write_bytes(content)
        file.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind != "delete":
        file.write_bytes(content)
