"""Where compile caches of the samplers lie, so that a run can begin without any."""

import os
from pathlib import Path


def environment(folder: Path) -> dict[str, str]:
    """Return this process's environment with every compile cache of the samplers moved below `folder`.

    Python keeps what it compiles of their sources, as it does where they are installed; a checkout under
    ``PYTHONDONTWRITEBYTECODE`` would be compiled anew by every process.
    """
    flags = [flag for flag in os.environ.get("PYTENSOR_FLAGS", "").split(",") if flag]
    flags = [flag for flag in flags if not flag.startswith("base_compiledir=")]
    moved = {
        "PYTENSOR_FLAGS": ",".join([*flags, f"base_compiledir={folder / 'pytensor'}"]),
        "NUTMILL_CACHE_DIR": str(folder / "nutmill"),
        "NUTMILL_CACHE_LIMIT": "1G",  # a user's own limit might keep nothing, and warm would be cold
        "NUMBA_CACHE_DIR": str(folder / "numba"),
    }
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | moved
