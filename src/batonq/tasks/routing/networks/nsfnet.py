"""NSFNET's T1 backbone as the literature on routing uses it: 14 routers, 21 links.

The links are those of B. Mukherjee, D. Banerjee, S. Ramamurthy and A. Mukherjee, "Some principles
for designing a wide-area WDM optical network", IEEE/ACM Transactions on Networking 4(5), 1996,
whose figure names routers by state; each is put at the site of the backbone in that state. The
lists that simulators and data sets print, with other numbers for the routers, are the same graph.

Delays come from the sites' coordinates, as for every other network. The distances that circulate
with the list are rounded to 100 or 150 km and differ between publications by up to a factor of
two, so none of them could be called the published one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from batonq.tasks.routing.networks.network import Network, network, propagation

NAME: Final = "NSFNET"
_SITES: Final = (  # latitude and longitude in degrees
    ("Seattle", 47.61, -122.33),
    ("Palo Alto", 37.44, -122.14),
    ("San Diego", 32.72, -117.16),
    ("Salt Lake City", 40.76, -111.89),
    ("Boulder", 40.01, -105.27),
    ("Houston", 29.76, -95.36),
    ("Lincoln", 40.80, -96.67),
    ("Champaign", 40.12, -88.24),
    ("Pittsburgh", 40.44, -80.00),
    ("Atlanta", 33.75, -84.39),
    ("Ann Arbor", 42.28, -83.74),
    ("Ithaca", 42.44, -76.50),
    ("Princeton", 40.35, -74.66),
    ("College Park", 38.98, -76.94),
)
_LINKS: Final = (
    *((0, 1), (0, 2), (0, 7)),
    *((1, 2), (1, 3), (2, 5)),
    *((3, 4), (3, 10), (4, 5), (4, 6)),
    *((5, 9), (5, 13), (6, 7), (7, 8)),
    *((8, 9), (8, 11), (8, 12)),
    *((10, 11), (10, 12), (11, 13), (12, 13)),
)


def nsfnet() -> Network:
    """Return the 14 routers and 21 links of NSFNET's T1 backbone."""
    place = np.array([site[1:] for site in _SITES], float)
    ends = np.array(_LINKS)
    return network(NAME, [site[0] for site in _SITES], ends, propagation(place, ends), place)
