"""The versions that were tested: bounds of the package, pins of CI, and one warning of what is newer."""

import re
import tomllib
from pathlib import Path

import pytensor.tensor as pt
import pytest

from nutmill import compile_model
from nutmill.model import tested_versions as tested
from nutmill.model.tested_versions import NEWEST, newer_than_tested

ROOT = Path(__file__).parents[2]


def test_bounds_of_the_package_are_the_versions_tested():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = dict(re.fullmatch(r"(\w+)>=[\d.]+,<=([\d.]+)", one).groups() for one in asked if "<" in one)
    assert bounds == NEWEST


def test_ci_has_the_newest_pytensor():
    pins = (ROOT / ".ci" / "constraints-313.txt").read_text().splitlines()
    assert f"pytensor=={NEWEST['pytensor']}" in pins


@pytest.mark.parametrize(
    ("changed", "is_newer"),
    [
        ({}, False),
        ({"pytensor": "2.38.3"}, False),
        ({"pytensor": "3.3.8+3.g1234567"}, False),
        ({"pytensor": "3.3.10"}, True),
        ({"pytensor": "4.0.0rc1"}, True),
        ({"numba": "0.69.0dev0"}, True),
        ({"llvmlite": "0.100"}, True),
    ],
)
def test_what_is_newer(changed, is_newer):
    said = newer_than_tested(NEWEST | changed)
    assert (said is not None) == is_newer
    for name in changed if is_newer else ():
        assert f"{name} {changed[name]} (tested: up to {NEWEST[name]})" in said
        assert f"'{name}<={NEWEST[name]}'" in said and 'lowering="numba"' in said


def test_the_first_compile_warns_and_the_next_does_not(monkeypatch):
    """With versions tested that are older than what is installed."""
    monkeypatch.setattr(tested, "NEWEST", dict.fromkeys(NEWEST, "0.1"))
    tested.warn_of_newer.cache_clear()
    with pytest.warns(UserWarning, match="not tested with pytensor .*, numba .*, llvmlite"):
        compile_model(-0.5 * pt.scalar("x") ** 2, fuse=False)
    compile_model(-0.25 * pt.scalar("x") ** 2, fuse=False)
