"""Compiles a model and saves it as an artifact, for the process that begins with it."""

import json
import sys
from pathlib import Path

from benchmarks import models


def main(request: str, answer: str) -> None:
    """Save the model that the JSON text `request` names to the file it names; write the file's size to `answer`."""
    import nutmill

    cell = json.loads(request)
    nutmill.compile_model(models.build(cell["model"])).save(cell["artifact"])
    Path(answer).write_text(json.dumps({"size_mb": Path(cell["artifact"]).stat().st_size / 2**20}))


if __name__ == "__main__":
    main(*sys.argv[1:])
