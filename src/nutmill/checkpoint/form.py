"""What JSON from a file must look like: a description of its form, and the first place that does not fit.

A form is a function that takes a value and the name of its place, and raises `Misfit` there.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Form = Callable[[Any, str], None]

_LONGEST_SHOWN = 40
ANY_TEXT, PRINTABLE = r"(?s:.*)", r"[^\x00-\x1f\x7f-\x9f]*"  # of which a terminal obeys no character


class Misfit(ValueError):
    """Something does not have the form that it should; the message is a clause that says where."""


def parsed(content: bytes, form: Form) -> Any:
    """Read JSON of a form; raises Misfit if it is none."""
    try:
        value = json.loads(content)
        form(value, "")
    except RecursionError as error:
        raise Misfit("it is nested too deeply") from error
    except Misfit:
        raise
    except ValueError as error:
        raise Misfit("it is no JSON") from error
    return value


def anything(value: Any, place: str) -> None:
    """Require nothing."""


def whole(least: int = 0, most: int | None = None) -> Form:
    """Require a whole number."""

    def check(value, place):
        if type(value) is not int or value < least or (most is not None and value > most):
            limits = f"at least {least}" if most is None else f"from {least} to {most}"
            raise _misfit(value, place, f"a whole number, {limits}")

    return check


def number(least: float = -math.inf, most: float = math.inf, *, finite: bool = True) -> Form:
    """Require a number, NaN and the infinite ones only where it need not be `finite`."""

    def check(value, place):
        is_number = type(value) in (int, float)
        if not is_number or (finite and not (least <= value <= most and abs(value) < math.inf)):
            raise _misfit(value, place, "a number")

    return check


def text(pattern: str = ANY_TEXT) -> Form:
    """Require text that a pattern fits."""
    compiled = re.compile(pattern)

    def check(value, place):
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise _misfit(value, place, "text of its kind")

    return check


def flag(value: Any, place: str) -> None:
    """Require true or false."""
    if not isinstance(value, bool):
        raise _misfit(value, place, "true or false")


def one_of(*values: Any) -> Form:
    """Require one of a few values."""

    def check(value, place):
        if not any(type(value) is type(known) and value == known for known in values):
            raise _misfit(value, place, " or ".join(map(repr, values)))

    return check


def maybe(form: Form) -> Form:
    """Require a form, or null."""
    return lambda value, place: None if value is None else form(value, place)


def each(form: Form, length: int | None = None) -> Form:
    """Require a list of items of one form, of any length by default."""

    def check(value, place):
        if not isinstance(value, list) or length not in (None, len(value)):
            raise _misfit(value, place, "a list" if length is None else f"a list of {length}")
        for number_, item in enumerate(value):
            form(item, f"{place}[{number_}]")

    return check


def mapping(form: Form) -> Form:
    """Require an object whose values have one form, under any names."""

    def check(value, place):
        if not isinstance(value, dict):
            raise _misfit(value, place, "an object")
        for name, item in value.items():
            form(item, f"{place}.{name}" if place else name)

    return check


def record(forms: Mapping[str, Form], optional: Mapping[str, Form] | None = None, *, others: bool = False) -> Form:
    """Require an object of these names, each with its form; `optional` ones may be missing, `others` be there."""
    known = {**forms, **(optional or {})}

    def check(value, place):
        if not isinstance(value, dict):
            raise _misfit(value, place, "an object")
        for name in forms:
            if name not in value:
                raise Misfit(f"{_named(place)} lacks {name!r}")
        for name, item in value.items():
            if name not in known and not others:
                raise Misfit(f"{_named(place)} has {_shown(name)}, which is not known")
            known.get(name, anything)(item, f"{place}.{name}" if place else name)

    return check


def _misfit(value: Any, place: str, wanted: str) -> Misfit:
    return Misfit(f"{_named(place)} must be {wanted}, not {_shown(value)}")


def _named(place: str) -> str:
    return _printable(place) or "it"


def _shown(value: Any) -> str:
    # Of a list or an object the kind is enough, and it may be nested deeply.
    return _printable(repr(value)) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def _printable(words: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in words)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
