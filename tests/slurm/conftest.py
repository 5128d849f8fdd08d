"""A Slurm for the tests of a session: one node, or four that are made up."""

import pytest
from slurm.cluster import running


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
