"""Lets the cache of compiled code lie elsewhere for a while."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nutmill.files import cache_folder


@contextmanager
def cache_at(place: Path) -> Iterator[None]:
    """Let the cache lie in another folder."""
    before = os.environ.get("NUTMILL_CACHE_DIR")
    os.environ["NUTMILL_CACHE_DIR"] = str(place)
    try:
        yield
    finally:
        os.environ.pop("NUTMILL_CACHE_DIR")
        if before is not None:
            os.environ["NUTMILL_CACHE_DIR"] = before


def new_cache(folder: Path, *, with_kernel: bool = True) -> Path:
    """Make a cache without models, and without the sampler if need be."""
    folder.mkdir()
    for entry in cache_folder().glob("kernel-*.entry") if with_kernel else ():
        shutil.copy2(entry, folder)
    return folder
