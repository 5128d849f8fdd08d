"""The `Origin` of a model that was saved: machine code and saved values take the place of the model's graph.

Starts that are drawn at random, of variables without a support point, are those of seed 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nutmill.errors import ModelError
from nutmill.native.code import Code
from nutmill.native.functions import Functions
from nutmill.native.origin import Arrays, Guide, Index, Term, misfits
from nutmill.native.processor import Target

# Entries of the functions.
START, SHOWN, REACHES, UNCONSTRAIN, CONSTRAIN = "start", "shown", "reaches", "unconstrain", "constrain"

# The number of an array of the record, or a constant.
Argument = tuple[int, None] | tuple[None, np.ndarray]


@dataclass(frozen=True)
class SavedOrigin:
    """What a saved model computes outside of sampling."""

    # `START` (arguments) -> start of each parameter, then of its variable. `SHOWN` (arrays) -> data of the result that
    # are not simply arrays. `REACHES` (pieces, arrays) -> bounds of indices. `UNCONSTRAIN` (value of each variable,
    # arguments) -> start of each parameter, then the usual value of each variable where the others have these values.
    # `CONSTRAIN` (value of each variable, pieces, arguments) -> each variable whose parameter is this piece.
    functions: Functions
    # Names of the parameters, and of their variables, by which initial values are given.
    parameters: tuple[str, ...]
    variables: tuple[str, ...]
    # What `START` gives for the data that the model was saved with, as the graph computed it.
    start_as_saved: tuple[np.ndarray, ...]
    # Those data; None for each if the file was written without them.
    arrays_as_saved: tuple[np.ndarray | None, ...]
    # Name in the result -> number of the array that it is; None: `SHOWN` computes it.
    shown_as: Mapping[str, int | None]
    indices: tuple[Index, ...]  # what the bounds that `REACHES` gives belong to
    # Of `START` and `UNCONSTRAIN`: the number of an array of the record, or a
    # constant.
    arguments: tuple[Argument, ...]
    is_real: bool  # variables are of the real line and independent: values that are given are starts
    likelihood_code: Code | None = None  # what gives the log likelihood of each observation, if it was saved too

    def saved(self, arrays: Arrays, target: Target) -> "SavedOrigin":
        """Itself, with the start for these data."""
        return replace(self, start_as_saved=tuple(self._start(arrays)), arrays_as_saved=tuple(arrays))

    def start(self, arrays: Arrays, seed: int) -> list[np.ndarray]:
        """Initial value of each parameter; nothing is random in it, so the seed does not matter."""
        return self._start(arrays)[: len(self.parameters)]

    def start_given(self, given: Mapping[str, object], arrays: Arrays, seed: int) -> list[np.ndarray]:
        """The same where the user gives some values by name; raises ValueError if they do not fit."""
        starts, usual = self._halves(self._start(arrays))
        values = self._chosen(self.variables, given, usual)
        if self.is_real:
            return self._chosen(self.parameters, given, values)
        pieces = self._chosen(self.parameters, given, starts)
        return self._chosen(self.parameters, given, self._settled(values, pieces, given, arrays))

    def shown(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Observed and constant data of the result, by name."""
        computed = iter(self.functions(SHOWN, arrays) if SHOWN in self.functions else ())
        return {name: next(computed) if number is None else arrays[number] for name, number in self.shown_as.items()}

    def misfits(self, pieces: Arrays, arrays: Arrays) -> list[str]:
        """Say which indices lie outside of what they index, a clause each."""
        if REACHES not in self.functions:
            return []
        return misfits(self.indices, self.functions(REACHES, [*pieces, *arrays]))

    def not_finite(self, pieces: Arrays, arrays: Arrays) -> dict[str, Term]:
        """Nothing: the log densities of single variables are not in the file."""
        return {}

    def guide(self, arrays: Arrays) -> Guide:
        """Nothing: neither they nor priors are in the file."""
        return Guide()

    def likelihood(self, target: Target) -> Code:
        """The code that lies in the file; raises ModelError if it was saved without."""
        if self.likelihood_code is None:
            raise ModelError(
                "This model was saved without its log_likelihood: save it with log_likelihood=True, or leave it out "
                "of idata_kwargs."
            )
        return self.likelihood_code

    def _start(self, arrays: Arrays) -> list[np.ndarray]:
        # The same data give the same bytes as before saving: the interpreter's logarithm may round another way.
        used = [number for number, _ in self.arguments if number is not None]
        as_saved = all(arrays[number] is self.arrays_as_saved[number] for number in used)
        if as_saved:
            return list(self.start_as_saved)
        if START not in self.functions:
            raise ModelError(
                "The start of this model is random and depends on its data, so a file of it takes no other data: "
                "compile the model with them."
            )
        return self.functions(START, self._arguments(arrays))

    def _settled(
        self, values: list[np.ndarray], pieces: list[np.ndarray], given: Mapping[str, object], arrays: Arrays
    ) -> list[np.ndarray]:
        """Let the usual values follow those that were given, from the top of the hierarchy to its bottom."""
        if UNCONSTRAIN not in self.functions or CONSTRAIN not in self.functions:
            raise ModelError("The start of this model is random, so a file of it takes no initvals: leave them out.")
        arguments = self._arguments(arrays)
        starts: list[np.ndarray] = []
        for _ in range(len(values) + 1):  # each round settles one more level
            starts, usual = self._halves(self.functions(UNCONSTRAIN, [*values, *arguments]))
            moved = self.functions(CONSTRAIN, [*values, *pieces, *arguments])
            following = [
                value if variable in given else inside if parameter in given else now
                for variable, parameter, value, inside, now in zip(
                    self.variables, self.parameters, values, moved, usual, strict=True
                )
            ]
            if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(following, values, strict=True)):
                break
            values = following
        return starts

    def _arguments(self, arrays: Arrays) -> list[np.ndarray]:
        return [argument[1] if argument[0] is None else arrays[argument[0]] for argument in self.arguments]

    def _halves(self, both: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        n = len(self.parameters)
        return list(both[:n]), list(both[n:])

    @staticmethod
    def _chosen(names: Sequence[str], given: Mapping[str, object], usual: Arrays) -> list[np.ndarray]:
        """Values that are given, and the usual ones of the others."""
        chosen = []
        for name, value in zip(names, usual, strict=True):
            mine = np.asarray(given.get(name, value), dtype=np.float64)
            if mine.shape != value.shape:  # machine code would read past its end
                raise ValueError(f"{name} must have shape {value.shape}, not {mine.shape}")
            chosen.append(mine)
        return chosen
