"""`model.fit(inference_method="nutmill")` in Bambi: importing this module makes Bambi and PyMC know the name."""

try:
    from bambi.backend import pymc as _backend
except ImportError as error:
    raise ImportError("nutmill.bambi makes Bambi know nutmill, and needs Bambi: pip install bambi.") from error

from nutmill.errors import NutmillError
from nutmill.pymc import door

# A private set of Bambi 0.17 to 0.21 that names are looked up in.
_METHODS = "_SUPPORTED_METHODS"


def plug_in() -> None:
    """Let `fit(inference_method="nutmill")` find nutmill. To do it twice is to do it once.

    Raises NutmillError if this Bambi or this PyMC takes samplers in another way.
    """
    methods = getattr(_backend, _METHODS, None)
    if not isinstance(methods, set):
        raise NutmillError(
            "This Bambi takes samplers in another way than nutmill knows: build the model and sample it by "
            "nutmill.sample_numba(model.backend.model), or take Bambi 0.21."
        )
    door.plug_in()
    methods.add(door.NAME)


def unplug() -> None:
    """Take the name back from Bambi; `nutmill.pymc.unplug` takes it back from PyMC."""
    getattr(_backend, _METHODS, set()).discard(door.NAME)


plug_in()
