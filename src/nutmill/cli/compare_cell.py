"""Measures one run of `nutmill compare`: its process loads the model from the user's file."""

import sys
from pathlib import Path

from nutmill.cli import model_file
from nutmill.comparison import cell
from nutmill.errors import ModelError


def load(place: dict) -> object:
    """Load the model called `name` of a file."""
    model = model_file.load_model(model_file.ModelPlace(Path(place["file"]), place["name"]))
    if not hasattr(model, "free_RVs"):
        raise ModelError("Only a pm.Model can be compared: other samplers cannot run a compiled one.")
    return model


if __name__ == "__main__":
    cell.main(sys.argv[1], sys.argv[2], load=load)
