"""What is no result is refused in one sentence."""

import numpy as np
import pytest
import xarray as xr

from nutmill import ArgumentError, diagnose

DRAWS = xr.Dataset({"a": (("chain", "draw"), np.zeros((4, 10)))})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "this int has no posterior."),
        (None, "this NoneType has no posterior."),
        ("draws.nc", "this str has no posterior."),
        (np.zeros((4, 10)), "this ndarray has no posterior."),
        (DRAWS, "this Dataset has no posterior."),
        ({"posterior": DRAWS["a"]}, "this dict has no posterior."),
        (xr.DataTree.from_dict({"posterior": DRAWS}), "this DataTree has no sample_stats."),
    ],
)
def test_what_is_no_result_is_refused(given, said):
    with pytest.raises(ArgumentError) as refused:
        diagnose(given)
    assert str(refused.value) == f"What is diagnosed is a result with groups posterior and sample_stats; {said}"
