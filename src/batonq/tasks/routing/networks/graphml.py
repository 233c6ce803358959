"""Networks from GraphML files, as the Internet Topology Zoo publishes them.

The Zoo (S. Knight et al., IEEE Journal on Selected Areas in Communications 29(9), 2011) gives
routers with a label, a latitude and a longitude. Its files have parallel links, routers without
coordinates and separate parts; what is done about each is said in the network's notes. defusedxml
refuses files that declare entities or fetch others, before networkx reads them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import Element, ParseError, tostring

import networkx as nx
import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from batonq.base.errors import DataError
from batonq.tasks.routing.networks.network import MOST, Network, network, propagation

if TYPE_CHECKING:
    Graph = nx.Graph[str]

LARGEST: Final = 16 << 20  # bytes of a file; what networkx takes seconds for
NO_PLACE_MS: Final = 1.0  # delay of every link where no router has coordinates
_NAMESPACE: Final = "{http://graphml.graphdrawing.org/xmlns}"
_SHOWN: Final = 5  # names in a note
_SPRING: Final = 500  # routers up to which springs lay a network out


def read_graphml(path: Path) -> Network:
    """Read a network from a GraphML file; its name is the file's without the suffix.

    Parallel links are merged (their ends, hence their lengths, are the same) and links of a router
    with itself left out; of a network in parts the largest is kept, the first of equals. A router
    without coordinates gets the mean of its neighbours' on the sphere. Where none has any, every
    link takes 1 ms and springs place the routers. Directions are disregarded.

    Raises:
        DataError: if the file is missing, above 16 MB, not well-formed, declares entities, is not
            GraphML, or has no link between two routers; names the file, the reason and the remedy.
    """
    graph, notes = _graph(path)
    ids = list(graph)
    ends = _ends(graph, ids, notes)
    if len(ends) == 0:
        raise DataError(f"{path}: no link joins two routers; give a network that has links")
    kept, ends = _largest_part(len(ids), ends, notes)
    if len(kept) > MOST:
        raise DataError(f"{path}: {len(kept)} routers; give a network of at most {MOST}")
    attributes: list[Mapping[str, Any]] = [graph.nodes[ids[router]] for router in kept]
    labels = [_label(given) or ids[router] for router, given in zip(kept, attributes, strict=True)]
    names = _distinct(labels, notes)
    place = np.array([_coordinates(given) for given in attributes])
    known = np.isfinite(place).all(axis=1)
    if known.any():
        _fill(place, ends, names, notes)
        delay = propagation(place, ends)
    else:
        notes.append(f"no router has coordinates: every link takes {NO_PLACE_MS:g} ms")
        place = _laid_out(len(kept), ends)
        delay = np.full(len(ends), NO_PLACE_MS)
    return network(path.stem, names, ends, delay, place, notes)


def _graph(path: Path) -> tuple[Graph, list[str]]:
    root = _tree(path)
    graphs = root.findall(f"{_NAMESPACE}graph")
    if root.tag != f"{_NAMESPACE}graphml" or not graphs:
        raise DataError(f"{path}: not GraphML (no <graph> in a <graphml>); give a .graphml file")
    notes = []
    if len(graphs) > 1:
        notes.append(f"{len(graphs)} graphs in the file: the first was read")
        for other in graphs[1:]:
            root.remove(other)
    if graphs[0].get("edgedefault") == "directed":
        notes.append("the file's links have directions: taken as links both ways")
    _check_ends(path, graphs[0])
    try:
        # Attributes are read as text, so that one that is not what it should be harms nothing.
        for key in root.iter(f"{_NAMESPACE}key"):
            key.set("attr.type", "string")
        for edge in graphs[0].iter(f"{_NAMESPACE}edge"):
            edge.attrib.pop("id", None)  # two edges that share one would be merged unseen
            del edge[:]
        graph = nx.parse_graphml(tostring(root, "unicode"), force_multigraph=True)
    except Exception as error:  # networkx raises a dozen kinds on what it does not expect
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: not GraphML as networkx reads it ({reason})") from error
    return graph, notes


def _tree(path: Path) -> Element:
    """The file's XML, with GraphML's namespace where the file names none."""
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(
                f"{path}: {path.stat().st_size >> 20} MB; a network's file has at most "
                f"{LARGEST >> 20} MB"
            )
        root: Element = fromstring(path.read_bytes(), forbid_dtd=True)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; give the path of a GraphML file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file") from error
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: has a document type or entities, which can exhaust memory or fetch other "
            "files; delete the <!DOCTYPE ...> part"
        ) from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise DataError(
            f"{path}: not well-formed XML ({error}); restore the file from its source"
        ) from error
    for element in root.iter():
        if isinstance(element.tag, str) and not element.tag.startswith("{"):
            element.tag = _NAMESPACE + element.tag
    return root


def _check_ends(path: Path, graph: Element) -> None:
    ids = Counter(node.get("id") for node in graph.iter(f"{_NAMESPACE}node"))
    remedy = "restore the file from its source"
    if None in ids:
        raise DataError(f"{path}: a node has no id; {remedy}")
    name, count = max(ids.items(), key=lambda item: item[1], default=("", 0))
    if count > 1:
        raise DataError(f"{path}: {count} nodes have the id '{name}'; {remedy}")
    for edge in graph.iter(f"{_NAMESPACE}edge"):
        for end in ("source", "target"):
            if edge.get(end) not in ids:
                raise DataError(f"{path}: an edge's {end} is '{edge.get(end)}', no node; {remedy}")


def _ends(graph: Graph, ids: list[str], notes: list[str]) -> Int[np.ndarray, "edge 2"]:
    """The distinct links between two routers, by number; says what was left out."""
    number = {router: index for index, router in enumerate(ids)}
    pairs = [(number[one], number[other]) for one, other in graph.edges()]
    between = [pair for pair in pairs if pair[0] != pair[1]]
    if len(between) < len(pairs):
        notes.append(f"links of a router with itself left out: {len(pairs) - len(between)}")
    directed = graph.is_directed()
    lines = {pair if directed else tuple(sorted(pair)) for pair in between}
    if len(lines) < len(between):
        notes.append(f"parallel links left out, equally long: {len(between) - len(lines)}")
    distinct = sorted({tuple(sorted(pair)) for pair in between})
    return np.array(distinct, np.int64).reshape(-1, 2)


def _largest_part(
    count: int, ends: Int[np.ndarray, "edge 2"], notes: list[str]
) -> tuple[list[int], Int[np.ndarray, "kept_edge 2"]]:
    """The routers of the largest connected part, and its links by their new numbers."""
    adjacency = coo_array((np.ones(len(ends)), ends.T), shape=(count, count))
    parts, part = connected_components(adjacency, directed=False)
    largest = int(np.bincount(part).argmax())
    kept = np.flatnonzero(part == largest)
    if parts > 1:
        notes.append(f"{parts} separate parts: kept the largest, {len(kept)} of {count} routers")
    renumbered = np.full(count, -1)
    renumbered[kept] = np.arange(len(kept))
    return kept.tolist(), renumbered[ends[part[ends[:, 0]] == largest]]


def _label(given: Mapping[str, Any]) -> str:
    """The label; empty where there is none, or the file says that nobody knew."""
    label = str(given.get("label", "None")).strip()
    return "" if label.strip("?") in ("", "None") else label


def _distinct(labels: list[str], notes: list[str]) -> list[str]:
    """The labels, those that come again with a number behind them."""
    taken = set(labels)
    seen: set[str] = set()
    names = []
    for label in labels:
        name, number = label, 1
        while name in seen or (number > 1 and name in taken):
            number += 1
            name = f"{label} ({number})"
        seen.add(name)
        names.append(name)
    repeated = len(labels) - len(taken)
    if repeated:
        notes.append(f"routers with the label of another, numbered: {repeated}")
    return names


def _coordinates(given: Mapping[str, Any]) -> tuple[float, float]:
    """Latitude and longitude in degrees; not-a-number where there are none to be trusted."""
    try:
        latitude, longitude = float(given["Latitude"]), float(given["Longitude"])
    except (KeyError, ValueError):
        return math.nan, math.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 360):
        return math.nan, math.nan
    return latitude, (longitude + 180) % 360 - 180


def _fill(
    place: Float[np.ndarray, "router 2"],
    ends: Int[np.ndarray, "edge 2"],
    names: list[str],
    notes: list[str],
) -> None:
    """Put routers without coordinates at the mean of their neighbours that have some, in rounds."""
    missing = np.flatnonzero(np.isnan(place[:, 0]))
    if len(missing) == 0:
        return
    links = np.concatenate([ends, ends[:, ::-1]])
    known = ~np.isnan(place[:, 0])
    while not known.all():  # ends, as the part is connected: each round reaches the next routers
        reached = links[~known[links[:, 0]] & known[links[:, 1]]]
        routers, group = np.unique(reached[:, 0], return_inverse=True)
        latitude, longitude = np.radians(place[reached[:, 1]]).T
        around = np.cos(latitude)
        axes = (around * np.cos(longitude), around * np.sin(longitude), np.sin(latitude))
        x, y, z = (np.bincount(group, axis) for axis in axes)
        place[routers] = np.degrees(np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], 1))
        known[routers] = True
    shown = ", ".join(names[router] for router in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    notes.append(
        f"routers without coordinates, put at the mean of their neighbours': {len(missing)} "
        f"({shown}{more})"
    )


def _laid_out(count: int, ends: Int[np.ndarray, "edge 2"]) -> Float[np.ndarray, "router 2"]:
    """Places within 20 degrees around the equator, for drawing only."""
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(ends.tolist())
    spring = count <= _SPRING
    places = nx.spring_layout(graph, seed=0) if spring else nx.circular_layout(graph)
    return 20.0 * np.array([places[router] for router in range(count)])
