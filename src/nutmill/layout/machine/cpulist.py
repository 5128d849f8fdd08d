"""Lists of CPUs as the kernel writes them: ``0-3,8`` to a set and back."""

from collections.abc import Iterable

# More than any machine has; a damaged file must not make us count to a billion.
_MOST_CPUS = 1 << 16


def parse(text: str) -> frozenset[int]:
    """Read a list such as ``0-3,8``; an empty text is an empty set.

    Raises
    ------
    ValueError
        The text is no list of CPUs.
    """
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        begin, end = _cpu(first), _cpu(last if dash else first)
        if begin > end:
            raise ValueError(f"{part!r} is no range of CPUs")
        cpus.update(range(begin, end + 1))
    return frozenset(cpus)


def _cpu(digits: str) -> int:
    digits = digits.strip()
    if not (digits.isascii() and digits.isdigit()) or int(digits) >= _MOST_CPUS:
        raise ValueError(f"{digits!r} is no CPU")
    return int(digits)


def spell(cpus: Iterable[int]) -> str:
    """Write CPUs as the kernel does: ``0-3,8``."""
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
