"""CPU layout toolkit: what the machine offers, layouts of chains and BLAS threads, and which is fastest."""

from importlib import import_module

# Read at once: it is cheap, and would else be hidden by the module of the same name.
from nutmill.layout.machine.topology import Topology, topology

__all__ = ["Layout", "Sweep", "Topology", "sweep", "topology"]

_HOMES = {
    "Layout": "nutmill.layout.layout",
    "Sweep": "nutmill.layout.search.findings",
    "sweep": "nutmill.layout.search.sweep",
}


def __getattr__(name: str):
    """Import a public name when it is first used: `nutmill topology` needs neither NumPy nor threads."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nutmill.layout' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
