"""Random networks of any size: routers at random places, joined as the Gabriel graph joins them.

Two routers are linked where no third lies in the circle that has them at the ends of a diameter
(K. R. Gabriel and R. R. Sokal, Systematic Zoology 18, 1969). Such a network is connected, has no
crossing links, and about two links per router.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.spatial import Delaunay, cKDTree

from batonq.base.errors import DataError
from batonq.base.seeds import generator
from batonq.tasks.routing.networks.network import MOST, Network, network, propagation

PREFIX: Final = "random-"
LEAST: Final = 3  # routers
_SEED: Final = 1969  # the network of a name is always the same
_SOUTH, _NORTH = 30.0, 48.0  # a region of the size of the United States
_WEST, _EAST = -120.0, -75.0


def random_network(count: int) -> Network:
    """Return the network called "random-`count`", always the same.

    Raises:
        DataError: if `count` is below 3 or above 5,000.
    """
    name = f"{PREFIX}{count}"
    if not LEAST <= count <= MOST:
        raise DataError(f"network '{name}': give a number of routers from {LEAST} to {MOST}")
    drawn = generator(_SEED, count).random((count, 2))
    place = np.array([_SOUTH, _WEST]) + drawn * np.array([_NORTH - _SOUTH, _EAST - _WEST])
    flat = place * np.array([1.0, np.cos(np.radians((_SOUTH + _NORTH) / 2))])
    corners = Delaunay(flat).simplices
    sides = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    ends = np.unique(np.sort(sides, axis=1), axis=0).astype(np.int64)
    one, other = flat[ends[:, 0]], flat[ends[:, 1]]
    nearest, _ = cKDTree(flat).query((one + other) / 2)
    # The ends themselves are the nearest where nothing lies in the circle, but for rounding.
    ends = ends[nearest >= np.linalg.norm(one - other, axis=1) / 2 * (1 - 1e-9)]
    routers = [f"r{number}" for number in range(count)]
    return network(name, routers, ends, propagation(place, ends), place)
