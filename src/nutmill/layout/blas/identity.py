"""Knows a BLAS library again, in another process or on another machine: by its content and its version."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from nutmill.errors import LayoutError
from nutmill.layout.blas.find import find_blas, name_of, survey_blas
from nutmill.layout.blas.library import BlasLibrary


class BlasIdentity(NamedTuple):
    """What a library is known by.

    Attributes
    ----------
    blas : str or None
        How layouts name it (`Layout.blas`).
    name, version : str
        As the library itself says.
    architecture : str or None
        Whose processors' code it ran.
    digest : str
        SHA-256 of its file; empty where it has none.
    path : str
    """

    blas: str | None
    name: str
    version: str
    architecture: str | None
    digest: str
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
        """Find the same library on this machine, wherever it lies now.

        Returns
        -------
        str or None
            How layouts name it here.

        Raises
        ------
        LayoutError
            If there is none of the same content and version, or it runs code of other processors here.
        """
        library = _named(self.blas) or _named(self.path if os.path.isfile(self.path) else None)
        others = [] if library is None else [library]
        if library is None or library.digest != self.digest:
            others += [other for other in survey_blas().libraries if other is not library]
        for other in others:
            if other.digest == self.digest and (other.version or "unknown") == self.version:
                if other.architecture != self.architecture:
                    raise LayoutError(
                        f"{self.label} ran code for {self.architecture} then, and runs code for {other.architecture} "
                        "here and now"
                    )
                return name_of(other)
        raise LayoutError(f"{self.label} ({self.path}) is not here{_instead(self.name, others)}")


def _named(blas: str | None) -> BlasLibrary | None:
    try:
        return None if blas is None else find_blas(blas)
    except LayoutError:
        return None


def _instead(name: str, others: list[BlasLibrary]) -> str:
    same_name = dict.fromkeys(f"{other.name} {other.version or 'of unknown version'}" for other in others)
    found = [label for label in same_name if label.startswith(f"{name} ")]
    return f": here is {' and '.join(found)}, of other content" if found else ""
