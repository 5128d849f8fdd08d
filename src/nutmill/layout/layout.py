"""A CPU layout: how many chains run at once, with how many threads each, and which BLAS library."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Integral

from nutmill.errors import LayoutError

# What layouts had before 0.1, with the value that means what they do today.
_FORMER = {"placement": "free", "mode": "threads"}


@dataclass(frozen=True)
class Layout:
    """How chains use CPUs.

    Parameters
    ----------
    chains_at_once : int
        Chains that run at the same time, each in a thread of its own; in that role they are called workers.
    blas_threads : int
        Threads that a BLAS call of one chain may use.
    blas : str, optional
        None for the library that SciPy brought; ``"openblas"``, ``"mkl"``, ``"blis"`` or a path for another.
    tile_threads : int
        Threads that share the rows of data within a gradient of one chain, where the model goes through rows in tiles
        (large regressions). Draws are the same, bit for bit, whatever their number.

    Raises
    ------
    LayoutError
        If a value is not one of these. Whether this machine can have the layout shows when it is applied.
    """

    chains_at_once: int
    blas_threads: int = 1
    blas: str | None = None
    tile_threads: int = 1

    def __post_init__(self):
        for name in ("chains_at_once", "blas_threads", "tile_threads"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise LayoutError(f"{name} must be a whole number, at least 1, not {value!r}.")
            object.__setattr__(self, name, int(value))  # NumPy's integers, which JSON does not take
        if self.blas is not None and (not isinstance(self.blas, str) or not self.blas):
            raise LayoutError(f"blas must be None, a name or the path of a library, not {self.blas!r}.")

    @property
    def threads_of_chain(self) -> int:
        """How many threads compute for one chain at the same time: BLAS and tiles have their turns."""
        return max(self.blas_threads, self.tile_threads)

    @property
    def n_threads(self) -> int:
        """How many threads compute at the same time, of all chains that run at once."""
        return self.chains_at_once * self.threads_of_chain

    @property
    def numerics(self) -> dict:
        """What of it the last bits of draws depend on, as plain values for JSON."""
        return {"library": self.blas, "threads": self.blas_threads}

    def as_dict(self) -> dict:
        """Give the fields as plain values for JSON.

        Returns
        -------
        dict
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping) -> "Layout":
        """Make a layout of what `as_dict` gave.

        Parameters
        ----------
        values : mapping

        Returns
        -------
        Layout

        Raises
        ------
        LayoutError
            If it is not that, with one sentence.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or "chains_at_once" not in values or not set(values) <= known | set(_FORMER):
            raise LayoutError(f"A layout has the keys {', '.join(sorted(known))}, not {values!r}.")
        for name, usual in _FORMER.items():
            if values.get(name, usual) != usual:
                raise LayoutError(
                    f"A layout with {name} {values[name]!r} is of an older nutmill, and this one has no {name}: "
                    "measure again with `nutmill tune`, or write a layout of your own."
                )
        return cls(**{name: value for name, value in values.items() if name in known})

    def __str__(self) -> str:
        chains = f"{self.chains_at_once} chain{'s' if self.chains_at_once > 1 else ''}"
        threads = f"{self.blas_threads} BLAS thread{'s' if self.blas_threads > 1 else ''}"
        tiles = f" x {self.tile_threads} tile threads" if self.tile_threads > 1 else ""
        return f"{chains} x {threads}{tiles}" + (f" ({self.blas})" if self.blas is not None else "")
