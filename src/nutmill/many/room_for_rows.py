"""Looks ahead whether what is kept of all fits goes into memory: after the first, and while a stream goes on."""

from nutmill.errors import ModelError
from nutmill.many.keeping import Groups
from nutmill.units import gigabytes

# Arrays of rows grow by a tenth at a time, and rows that are not in them yet lie beside them.
_COPIES = 1.2


class RoomForRows:
    """Counts the bytes of rows.

    `memory_bytes` is what this process may use, `n_all` how many rows there will be; None: nobody knows.
    """

    def __init__(self, memory_bytes: int | None, n_all: int | None):
        self._memory_bytes, self._n_all = memory_bytes, n_all
        self._n_rows = self._n_bytes = 0

    def take(self, row: Groups) -> None:
        """Count a row.

        Raises ModelError if rows like those so far will not all go into memory, or, of a stream, the next may not.
        """
        self._n_rows += 1
        self._n_bytes += sum(array.nbytes for arrays in row.values() for array in arrays.values())
        if self._memory_bytes is None:
            return
        n_all = max(self._n_rows, self._n_all or 0)
        needed = _COPIES * self._n_bytes * n_all / self._n_rows
        if needed > self._memory_bytes:
            what = f"What is kept of {n_all} fits" if self._n_all else f"What is kept of {n_all} fits so far"
            raise ModelError(
                f"{what} needs about {gigabytes(needed)}, and this process may use {gigabytes(self._memory_bytes)}: "
                'take keep="summary" or a function, fewer draws, a folder (to="fits.zarr"), or fewer var_names.'
            )
