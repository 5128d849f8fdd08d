"""CPU layout toolkit: what the machine offers, layouts of chains and BLAS threads, and which is fastest."""

from nutmill.layout.pools import Layout
from nutmill.layout.sweep import Sweep, exhaustive_sweep, sweep
from nutmill.layout.topology import Topology, topology

__all__ = ["Layout", "Sweep", "Topology", "exhaustive_sweep", "sweep", "topology"]
