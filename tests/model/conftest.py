"""Compiles single operations cheaply on one of the two lines."""

from importlib.metadata import version

import pytest

IS_OLDER_LINE = version("pytensor").startswith("2.")


@pytest.fixture
def optimised_on_one_line(monkeypatch):
    """Leave out LLVM's optimisations on the older line, which are up to half of what single operations cost there.

    The newer line tries the same operations optimised, and models are optimised on both. The option is part of
    the keys of models and of the kernel, so this is for tests that compile neither.
    """
    if IS_OLDER_LINE:
        from numba.core import config

        monkeypatch.setattr(config, "OPT", type(config.OPT)(0))
