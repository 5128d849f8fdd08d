"""How much memory this process has taken, and how much more there is."""

import resource
import sys
from pathlib import Path

_AVAILABLE = "MemAvailable:"


def peak_bytes() -> int:
    """The most memory that this process has had; resident, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available_bytes() -> int | None:
    """Memory that programs on this machine may still take; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith(_AVAILABLE))
    return next((int(kilobytes) * 1024 for kilobytes in found), None)
