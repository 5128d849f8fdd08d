"""`pm.sample(nuts_sampler="nutmill")`: importing this module makes PyMC know the name; `unplug` takes it back.

    import pymc as pm
    import nutmill.pymc

    with model:
        idata = pm.sample(nuts_sampler="nutmill")

Plain `import nutmill` leaves PyMC alone.
"""

try:
    import pymc  # noqa: F401
except ImportError as error:
    raise ImportError("nutmill.pymc makes pm.sample know nutmill, and needs PyMC: pip install pymc.") from error

from nutmill.pymc.door import plug_in, unplug
from nutmill.pymc.nuts import NUTS

__all__ = ["NUTS", "plug_in", "unplug"]

plug_in()
