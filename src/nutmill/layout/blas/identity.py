"""Knows a BLAS library again, in another process or on another machine: by its content and its version."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from nutmill.errors import LayoutError
from nutmill.layout.blas.find import find_blas, name_of, survey_blas
from nutmill.layout.blas.library import BlasLibrary


class BlasElsewhere(LayoutError):
    """What was measured with a library does not hold here: it is not there, or is another."""


class BlasIdentity(NamedTuple):
    """What a library is known by."""

    blas: str | None  # how layouts name it (`Layout.blas`)
    # As the library itself says.
    name: str
    version: str
    architecture: str | None  # whose processors' code it ran
    digest: str  # SHA-256 of its file; empty where it has none
    path: str

    @classmethod
    def of(cls, library: BlasLibrary) -> Self:
        """Take down a library of this process."""
        version = library.version or "unknown"
        return cls(name_of(library), library.name, version, library.architecture, library.digest, library.path)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make it of what `_asdict` gave; raises KeyError or TypeError if it is not that."""
        found = cls(**{name: values[name] for name in cls._fields})
        if any(not isinstance(value, str) for name, value in values.items() if name not in ("blas", "architecture")):
            raise TypeError(f"{values!r} is not a library")
        return found

    @property
    def label(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"

    def found_here(self) -> str | None:
        """Find the same library on this machine, wherever it lies now; returns how layouts name it here.

        Raises BlasElsewhere if there is none of the same content and version, or it runs code of other processors here.
        """
        library = _named(self.blas) or _named(self.path if os.path.isfile(self.path) else None)
        others = [] if library is None else [library]
        if library is None or library.digest != self.digest:
            others += [other for other in survey_blas().libraries if other is not library]
        for other in others:
            if other.digest == self.digest and (other.version or "unknown") == self.version:
                if other.architecture != self.architecture:
                    raise BlasElsewhere(
                        f"{self.label} ran code for {self.architecture} then, and runs code for {other.architecture} "
                        "here and now."
                    )
                return name_of(other)
        raise BlasElsewhere(f"{self.label} ({self.path}) is not here{_instead(self.name, others)}.")


def libraries_to_try(names: Sequence[str | None] | None = None) -> tuple[list[BlasIdentity], list[str]]:
    """Name the libraries that a sweep compares, SciPy's first, each content once, and say why others are left out.

    Loads them. `names` are as in `Layout.blas`; by default it is every library in reach whose number of threads
    can be set. Raises LayoutError if one of `names` cannot be had.
    """
    if names is not None:
        return _each_once([find_blas(blas) for blas in names]), []
    survey = survey_blas()
    left_out = list(survey.left_out)
    libraries = [library for library in survey.libraries if name_of(library) is None or library.can_limit]
    left_out += [
        f"{library.label} is not tried unless it is named: its number of threads cannot be set."
        for library in survey.libraries
        if library not in libraries
    ]
    return _each_once(libraries), left_out


def _each_once(libraries: Sequence[BlasLibrary]) -> list[BlasIdentity]:
    """Leave out copies of the same file."""
    known = {library.digest or library.path: BlasIdentity.of(library) for library in reversed(libraries)}
    return list(reversed(known.values()))


def _named(blas: str | None) -> BlasLibrary | None:
    try:
        return None if blas is None else find_blas(blas)
    except LayoutError:
        return None


def _instead(name: str, others: list[BlasLibrary]) -> str:
    same_name = dict.fromkeys(f"{other.name} {other.version or 'of unknown version'}" for other in others)
    found = [label for label in same_name if label.startswith(f"{name} ")]
    return f": what is here is {' and '.join(found)}, of other content" if found else ""
