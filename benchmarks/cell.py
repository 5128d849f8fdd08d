"""Measures one cell of the comparison, one model by one sampler with one seed, in a process of its own."""

import json
import sys
from pathlib import Path

from benchmarks import models
from benchmarks.measurement import measure
from nutmill.comparison import samplers
from nutmill.comparison.samplers.run import Size


def main(request: str, answer: str) -> None:
    """Measure what the JSON text `request` asks for and write the numbers to the file `answer`.

    The request holds the names `model` and `sampler`, and the integers draws, chains, cores and seed.
    """
    cell = json.loads(request)
    name, sampler = cell.pop("model"), cell.pop("sampler")
    model = models.build(name)
    run = samplers.load(sampler)(model, Size(**cell))
    Path(answer).write_text(json.dumps(measure(model, run, models.reference(name)).to_json()))


if __name__ == "__main__":
    main(*sys.argv[1:])
