"""Which sites may stand in a basis of their own (`nuts.turning`), and the way out of it for the driver, without Numba.

A process that loads a saved model reads this file, and must not wait for a compiler to be imported.
"""

from typing import NamedTuple

import numpy as np

from nutmill.nuts.state import TURNING

# Sites of more elements are never turned: what data tell differs between many.
MOST_TURNED = 16
# By how much a centredness must differ from the one as written: less than any step of a choice, more than a rounding.
LEAST_TURN = 5e-7


class Basis(NamedTuple):
    """What tells which elements are turned, by element; all of length n, or 0 where there are no sites."""

    sites: np.ndarray  # int64: the site that it is of; -1: of none
    joint: np.ndarray  # int64: its kind; TURNING where the site is turned
    written: np.ndarray  # float64: its centredness in the model as it is written


def turned_back(basis: Basis, centredness: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Bring chains out of their basis: from (c, n) coordinates at the centrednesses as written, in the basis of others.

    `centredness`, (c, n) float64, are those others. As the kernel does, for the driver.
    """
    out = position.copy()
    for site in np.unique(basis.sites[basis.joint == TURNING]):
        elements = np.flatnonzero(basis.sites == site)
        if 2 <= len(elements) <= MOST_TURNED:
            chains = (np.abs(centredness - basis.written)[:, elements] > LEAST_TURN).any(axis=1)
            normal = (np.arange(len(elements)) == 0) - 1.0 / np.sqrt(len(elements))
            turned = out[np.ix_(chains, elements)]
            out[np.ix_(chains, elements)] = turned - 2.0 / (normal @ normal) * np.outer(turned @ normal, normal)
    return out
