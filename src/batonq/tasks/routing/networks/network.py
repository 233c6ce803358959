"""A network: routers at their places, links both ways, and how long light takes along each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from batonq.base.errors import ModelError
from batonq.base.files import Json

EARTH_KM: Final = 6371.0  # mean radius
KM_PER_MS: Final = 200.0  # light in fibre: two thirds of its speed in vacuum
LEAST_MS: Final = 0.01  # of a link between two routers in one place
MOST: Final = 5000  # routers; a distance between every two then takes 200 MB


@dataclass(frozen=True, eq=False)
class Network:
    """Routers and links; every undirected link is two directed ones. Made by `network`.

    Attributes:
        name: how tables call it.
        routers: their names, all different; n of them.
        place: latitude and longitude in degrees, for drawing.
        indptr: the links that leave router x are indptr[x] to indptr[x + 1] - 1.
        head: the router a link leads to; ascending within a router.
        delay: propagation delay in ms, positive, the same both ways.
        back: number of the link in the other direction.
        notes: what reading its file had to fill in or leave out, in plain words.
    """

    name: str
    routers: tuple[str, ...]
    place: Float[np.ndarray, "router 2"]
    indptr: Int[np.ndarray, " router_plus_one"]
    head: Int[np.ndarray, " link"]
    delay: Float[np.ndarray, " link"]
    back: Int[np.ndarray, " link"]
    notes: tuple[str, ...] = ()

    @property
    def n_routers(self) -> int:
        """Number of routers."""
        return len(self.routers)

    @property
    def n_links(self) -> int:
        """Number of directed links."""
        return len(self.head)

    @cached_property
    def tail(self) -> Int[np.ndarray, " link"]:
        """The router each link leaves."""
        return np.repeat(np.arange(self.n_routers), np.diff(self.indptr))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, places, links and delays: what results on it depend on."""
        names = json.dumps([self.name, self.routers]).encode()
        arrays = (self.place, self.indptr, self.head, self.delay)
        content = b"".join([names, *(array.tobytes() for array in arrays)])
        return hashlib.sha256(content).hexdigest()


def network(
    name: str,
    routers: Sequence[str],
    ends: Int[np.ndarray, "edge 2"],
    delay: Float[np.ndarray, " edge"],
    place: Float[np.ndarray, "router 2"],
    notes: Sequence[str] = (),
) -> Network:
    """Build a network from its undirected links.

    Args:
        name: how tables call it.
        routers: names, all different.
        ends: the two routers of each link, by number.
        delay: of each link in ms, positive and finite.
        place: latitude in [-90, 90] and longitude of each router, in degrees.
        notes: what is to be said about how it was read.

    Raises:
        ModelError: naming the first thing that cannot be right: a link to itself or to no router,
            two links between the same routers, a delay that is not positive, routers that no path
            joins, two of one name.
    """
    count = len(routers)
    _check(name, routers, ends, delay, place)
    tail = np.concatenate([ends[:, 0], ends[:, 1]]).astype(np.int64)
    head = np.concatenate([ends[:, 1], ends[:, 0]]).astype(np.int64)
    order = np.lexsort((head, tail))
    number = np.empty(len(order), np.int64)  # of the directed links, after sorting
    number[order] = np.arange(len(order))
    back = number[np.roll(np.arange(len(order)), len(ends))[order]]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=count))]).astype(np.int64)
    built = Network(
        name=name,
        routers=tuple(routers),
        place=np.ascontiguousarray(place, float),
        indptr=indptr,
        head=head[order],
        delay=np.concatenate([delay, delay]).astype(float)[order],
        back=back,
        notes=tuple(notes),
    )
    _check_links(built)
    return built


def to_json(network: Network) -> dict[str, Json]:
    """A network as JSON, for a report that is drawn without its file; `from_json` reads it."""
    once = network.tail < network.head
    ends = np.stack([network.tail[once], network.head[once]], axis=1)
    return {
        "name": network.name,
        "routers": list(network.routers),
        "ends": ends.tolist(),
        "delay": network.delay[once].tolist(),
        "place": network.place.tolist(),
        "notes": list(network.notes),
    }


def from_json(written: Mapping[str, Json]) -> Network:
    """The network that `to_json` wrote, digest and all."""
    ends, delay, place = (np.array(written[key]) for key in ("ends", "delay", "place"))
    return network(written["name"], written["routers"], ends, delay, place, written["notes"])


def propagation(
    place: Float[np.ndarray, "router 2"], ends: Int[np.ndarray, "edge 2"]
) -> Float[np.ndarray, " edge"]:
    """Delay of each link in ms: its great circle at 200 km per ms, at least .01 ms.

    Args:
        place: latitude and longitude in degrees.
        ends: the two routers of each link.
    """
    latitude, longitude = np.radians(place).T
    one, other = ends.T
    # The haversine is exact to rounding for routers of one town too, unlike the cosine rule.
    half = (
        np.sin((latitude[other] - latitude[one]) / 2) ** 2
        + np.cos(latitude[one])
        * np.cos(latitude[other])
        * np.sin((longitude[other] - longitude[one]) / 2) ** 2
    )
    distance = 2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    delay: Float[np.ndarray, " edge"] = np.maximum(distance / KM_PER_MS, LEAST_MS)
    return delay


def _check(
    name: str,
    routers: Sequence[str],
    ends: Int[np.ndarray, "edge 2"],
    delay: Float[np.ndarray, " edge"],
    place: Float[np.ndarray, "router 2"],
) -> None:
    count = len(routers)
    if not 2 <= count <= MOST:
        raise ModelError(f"network '{name}': {count} routers; give from 2 to {MOST}")
    if len(set(routers)) < count:
        twice = next(one for one in routers if list(routers).count(one) > 1)
        raise ModelError(f"network '{name}': two routers are called '{twice}'; rename one")
    if len(ends) == 0:
        raise ModelError(f"network '{name}': no links; give at least one")
    shapes = (ends.shape, delay.shape, place.shape)
    wanted = ((len(ends), 2), (len(ends),), (count, 2))
    if shapes != wanted:
        raise ModelError(
            f"network '{name}': ends, delay and place have the shapes {shapes}; {len(ends)} links "
            f"of {count} routers need {wanted}"
        )
    if not ((ends >= 0) & (ends < count)).all():
        wrong = ends[((ends < 0) | (ends >= count)).any(axis=1)][0]
        raise ModelError(
            f"network '{name}': a link joins {wrong[0]} and {wrong[1]}; routers are numbered "
            f"0 to {count - 1}"
        )
    if (ends[:, 0] == ends[:, 1]).any():
        wrong = ends[ends[:, 0] == ends[:, 1]][0]
        raise ModelError(
            f"network '{name}': a link of '{routers[wrong[0]]}' leads to itself; leave it out"
        )
    if not (np.isfinite(delay) & (delay > 0)).all():
        raise ModelError(
            f"network '{name}': a link has the delay "
            f"{delay[~(np.isfinite(delay) & (delay > 0))][0]:g} ms; give a positive number"
        )
    if not (np.isfinite(place).all() and (np.abs(place[:, 0]) <= 90).all()):
        wrong = place[~(np.isfinite(place).all(axis=1) & (np.abs(place[:, 0]) <= 90))][0]
        raise ModelError(
            f"network '{name}': a router is at latitude {wrong[0]:g}, longitude {wrong[1]:g}; give "
            "degrees"
        )


def _check_links(built: Network) -> None:
    tail, head = built.tail, built.head
    twice = np.flatnonzero((tail[1:] == tail[:-1]) & (head[1:] == head[:-1]))
    if len(twice):
        one, other = tail[twice[0]], head[twice[0]]
        raise ModelError(
            f"network '{built.name}': two links join '{built.routers[one]}' and "
            f"'{built.routers[other]}'; keep the shorter"
        )
    adjacency = csr_array((built.delay, head, built.indptr), shape=(built.n_routers,) * 2)
    parts, part = connected_components(adjacency, directed=False)
    if parts > 1:
        alone = built.routers[int(np.flatnonzero(part != part[0])[0])]
        raise ModelError(
            f"network '{built.name}': no path from '{built.routers[0]}' to '{alone}'; give a "
            "connected network, or a connected part of it"
        )
