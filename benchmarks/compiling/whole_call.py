"""Samples a model at nutmill's defaults, in a process of its own: from the call to the result with its report."""

import json
import sys
from pathlib import Path

from benchmarks import models
from nutmill import sample_numba
from nutmill.comparison.resources import timed


def main(request: str, answer: str) -> None:
    """Sample the `model` that the JSON text `request` names, and write what it took to the file `answer`.

    `first_call` is of `sample_numba`, with what is imported on the way; PyMC is imported and the model built before.
    `later_call` is of a compiled model that has been sampled before. Both draw 4 x 1000 and end with the report.
    """
    import nutmill

    model = models.build(json.loads(request)["model"])
    _, first = timed(lambda: nutmill.sample_numba(model, random_seed=1, progressbar=False))
    compiled = nutmill.compile_model(model, progressbar=False)
    sample_numba(compiled, random_seed=2, progressbar=False)
    _, later = timed(lambda: sample_numba(compiled, random_seed=3, progressbar=False))
    Path(answer).write_text(json.dumps({"first_call": first._asdict(), "later_call": later._asdict()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
