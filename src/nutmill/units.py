"""How numbers are written: times, rates and sizes with three digits and a unit that fits, whole numbers as ranges."""

import math
from collections.abc import Iterable


def duration(seconds: float) -> str:
    """Write a time: 232 ns, 14.7 ms, 3 s."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= 0.9995 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def time_span(seconds: float) -> str:
    """Write a time the way it is said, in whole seconds: 3 s, 2 min 5 s, 1 h 20 min; "?" if it is not known."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(math.ceil(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def rate(per_s: float) -> str:
    """Write how often a second: 0.0123, 123, 12.3k, 1.23M."""
    for factor, suffix in ((1e6, "M"), (1e3, "k")):
        if per_s >= 0.9995 * factor:
            return f"{per_s / factor:.3g}{suffix}"
    return f"{per_s:.3g}"


def size(n_bytes: int) -> str:
    """Write a number of bytes: 12 bytes, 1.5 KiB."""
    for unit, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if n_bytes >= 0.9995 * unit:
            return f"{n_bytes / unit:.3g} {name}"
    return f"{n_bytes} bytes"


def gigabytes(n_bytes: float) -> str:
    """Write how much memory or disk something takes: 12.3 GB."""
    return f"{n_bytes / 1e9:.3g} GB"


def ranges(numbers: Iterable[int]) -> str:
    """Write increasing whole numbers in short, as the kernel writes CPUs: ``0-3,8-11,15``."""
    runs: list[list[int]] = []
    for one in numbers:
        if runs and one == runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
