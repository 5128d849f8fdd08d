"""A Slurm for the tests of a session: one node, or four that are made up."""

from pathlib import Path

import pytest
from slurm.cluster import running

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark what is in this folder: `make test` leaves it out, `make test-slurm` runs it."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("slurm")


@pytest.fixture(scope="session")
def one_node():
    """Run a node with the CPUs of this machine."""
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def four_nodes():
    """Run four nodes of 16 CPUs, all on this machine."""
    with running(4, 16) as cluster:
        yield cluster
