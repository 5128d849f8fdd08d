"""What tests of runs share: one that was left alone, and the folder of one that is finished."""

import pytest
from run_folders import OPTIONS, compiled

from nutmill import sample_numba


@pytest.fixture(scope="package")
def reference():
    return sample_numba(compiled(), **OPTIONS)


@pytest.fixture(scope="package")
def whole(tmp_path_factory):
    """Make a finished run folder; tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    sample_numba(compiled(), **OPTIONS, checkpoint=path)
    return path
