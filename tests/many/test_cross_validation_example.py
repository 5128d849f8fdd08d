"""The example of the guide to cross-validation: models of radon on a part of the counties, and a picture."""

import importlib.util
from pathlib import Path

import numpy as np

import nutmill

PLACE = Path(__file__).parents[2] / "docs" / "cross_validation.py"


def test_models_are_compared_and_drawn(tmp_path):
    spec = importlib.util.spec_from_file_location("cross_validation", PLACE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    table = example.houses().iloc[:200]
    options = {"draws": 50, "random_seed": 1, "progressbar": False}
    models = {"one": example.pooled(table), "apart": example.apart(table)}
    groups = table["county"].to_numpy()
    found = {
        kind: {name: nutmill.refit(model, folds, **options) for name, model in models.items()}
        for kind, folds in {"single houses": 3, "whole counties": groups}.items()
    }
    # A county that was never seen is predicted by its wide prior alone where each has a level of its own.
    one, apart = (example.pointwise(found["whole counties"][name]).sum() for name in models)
    assert one > apart + 5
    assert all(np.isfinite(example.pointwise(each)).all() for kind in found.values() for each in kind.values())
    designs = example.designs((4, 16))
    counted = nutmill.power(example.floors(), example.is_lower, 20, designs=designs, **options)["power"].to_dataset()
    example.draw_picture(table, found, counted, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
