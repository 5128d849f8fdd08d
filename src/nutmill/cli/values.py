"""Values as the user types them: durations such as 1h30m, chain ids such as 0-3,8-11, targets such as ess=400."""

import itertools
import math
import re

_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile("".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _UNITS_S))
# More than any cluster runs; a slip such as 0-99999999 should not fill the memory.
_MAX_CHAINS = 1_000_000

TARGETS = ("ess", "ess_tail", "rhat", "mcse")


def seconds(text: str) -> float:
    """Read a duration: ``90`` (seconds), ``45s``, ``1h30m``, ``2d``; raises ValueError with what is wrong with it."""
    typed = text.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", typed):
        typed += "s"
    parts = _DURATION.fullmatch(typed)
    total_s = 0.0
    if parts is not None:
        pairs = zip(parts.groups(), _UNITS_S.values(), strict=True)
        total_s = sum(float(number) * unit_s for number, unit_s in pairs if number is not None)
    if not 0.0 < total_s < math.inf:
        raise ValueError(f"a duration is given as 90s, 45m, 1h30m or 2d, and is longer than nothing; not {text!r}.")
    return total_s


def chain_ids(text: str) -> list[int]:
    """Read ids and ranges of ids, such as ``0-3,8-11,15``: increasing; raises ValueError with what is wrong."""
    ids: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if found is None:
            raise ValueError(f"chain ids are given as 4-7 or 0-3,8-11, not {text!r}.")
        first, last = int(found[1]), int(found[2] or found[1])
        if last - first >= _MAX_CHAINS:
            raise ValueError(f"{part.strip()} are more chains than {_MAX_CHAINS}.")
        ids += range(first, last + 1)
        if last < first:
            raise ValueError(f"the range {part.strip()} ends before it begins.")
    if any(later <= earlier for earlier, later in itertools.pairwise(ids)):
        raise ValueError(f"chain ids increase, and none comes twice; not {text!r}.")
    return ids


def targets(text: str) -> dict[str, float]:
    """Read targets such as ``ess=400,rhat=1.01``; raises ValueError with what is wrong with them."""
    wanted: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or name not in TARGETS or name in wanted:
            raise ValueError(
                f"targets are given as ess=400,rhat=1.01, each once, of {', '.join(TARGETS)}: {text!r} is not."
            )
        wanted[name] = _number(name, number)
    return wanted


def _number(name: str, text: str) -> float:
    least = 1.0 if name == "rhat" else 0.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least < value < math.inf:
        raise ValueError(f"{name} is a number above {least:g}, not {text!r}.")
    return value
