import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import DataError, ModelError
from batonq.tasks.routing.networks.generated import random_network
from batonq.tasks.routing.networks.network import MOST, network, propagation
from batonq.tasks.routing.networks.nsfnet import nsfnet

TRIANGLE = np.array([[0, 1], [2, 1], [0, 2]])
PLACE = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])


def as_graph(built):
    return nx.Graph(list(zip(built.tail.tolist(), built.head.tolist(), strict=True)))


def test_a_triangle_by_hand():
    built = network("t", ("a", "b", "c"), TRIANGLE, np.array([1.0, 2.0, 3.0]), PLACE, ["said"])
    assert built.indptr.tolist() == [0, 2, 4, 6]
    assert built.tail.tolist() == [0, 0, 1, 1, 2, 2]
    assert built.head.tolist() == [1, 2, 0, 2, 0, 1]
    assert built.delay.tolist() == [1, 3, 1, 2, 3, 2]
    assert built.back.tolist() == [2, 4, 0, 5, 1, 3]
    assert (built.n_routers, built.n_links, built.notes) == (3, 6, ("said",))


@given(st.integers(3, 60))
@settings(max_examples=25)
def test_every_link_has_its_way_back(count):
    built = random_network(count)
    links = np.arange(built.n_links)
    assert (built.head[built.back] == built.tail).all()
    assert (built.back[built.back] == links).all()
    assert (built.delay[built.back] == built.delay).all()
    for router in range(count):
        heads = built.head[built.indptr[router] : built.indptr[router + 1]]
        assert (np.diff(heads) > 0).all()


def test_the_digest_tells_networks_apart():
    one = network("t", ("a", "b", "c"), TRIANGLE, np.array([1.0, 2.0, 3.0]), PLACE)
    same = network("t", ("a", "b", "c"), TRIANGLE[::-1, ::-1], np.array([3.0, 2.0, 1.0]), PLACE)
    slower = network("t", ("a", "b", "c"), TRIANGLE, np.array([1.0, 2.0, 3.5]), PLACE)
    renamed = network("t", ("a", "b", "d"), TRIANGLE, np.array([1.0, 2.0, 3.0]), PLACE)
    assert one.digest == same.digest
    assert len({one.digest, slower.digest, renamed.digest}) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"routers": ("a", "b", "b")}, "two routers are called 'b'"),
        ({"routers": ("a",)}, "1 routers"),
        ({"routers": tuple(map(str, range(MOST + 1)))}, f"from 2 to {MOST}"),
        ({"ends": np.empty((0, 2), int)}, "no links"),
        ({"ends": np.array([[0, 1], [1, 3], [0, 2]])}, "joins 1 and 3"),
        ({"ends": np.array([[0, 1], [1, -1], [0, 2]])}, "joins 1 and -1"),
        ({"ends": np.array([[0, 1], [1, 1], [0, 2]])}, "'b' leads to itself"),
        ({"ends": np.array([[0, 1], [1, 0], [0, 2]])}, "two links join 'a' and 'b'"),
        ({"delay": np.ones(2)}, "shapes ((3, 2), (2,), (3, 2))"),
        ({"place": PLACE.T}, "shapes ((3, 2), (3,), (2, 3))"),
        ({"delay": np.array([1.0, 0.0, 1.0])}, "delay 0 ms"),
        ({"delay": np.array([1.0, np.nan, 1.0])}, "delay nan ms"),
        ({"delay": np.array([1.0, np.inf, 1.0])}, "delay inf ms"),
        ({"place": np.array([[0.0, 0.0], [91.0, 1.0], [1.0, 0.0]])}, "latitude 91"),
        ({"place": np.array([[0.0, 0.0], [0.0, np.nan], [1.0, 0.0]])}, "longitude nan"),
    ],
)
def test_what_cannot_be_a_network_is_refused_by_name(change, said):
    given_ = {"routers": ("a", "b", "c"), "ends": TRIANGLE, "delay": np.ones(3), "place": PLACE}
    with pytest.raises(ModelError, match="network 't'") as caught:
        network("t", **(given_ | change))
    assert said in str(caught.value)


def test_routers_that_no_path_joins_are_named():
    ends = np.array([[0, 1], [2, 3]])
    with pytest.raises(ModelError, match="no path from 'a' to 'c'"):
        network("t", ("a", "b", "c", "d"), ends, np.ones(2), np.zeros((4, 2)))


def test_delays_are_great_circles_at_200_km_per_ms():
    place = np.array([[0.0, 0.0], [0.0, 1.0], [90.0, 7.0], [0.0, 180.0], [0.0, 0.0], [0.0, -179.0]])
    ends = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [3, 5]])
    degree = np.pi * 6371 / 180 / 200
    assert propagation(place, ends) == pytest.approx(
        [degree, 90 * degree, 180 * degree, 0.01, degree]
    )


def test_london_new_york():
    place = np.array([[51.5074, -0.1278], [40.7128, -74.0060]])
    assert propagation(place, np.array([[0, 1]])) == pytest.approx([5570 / 200], rel=1e-3)


def test_nsfnet_is_the_published_one():
    graph = as_graph(nsfnet())
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (14, 21)
    assert sorted(degree for _, degree in graph.degree()) == [2] * 2 + [3] * 10 + [4] * 2
    assert nx.is_biconnected(graph)
    # A second, independently numbered list in circulation (knowledge-defined networking data sets).
    other = {0: (1, 2, 3), 1: (2, 7), 2: (5,), 3: (4, 8), 4: (5, 6), 5: (12, 13), 6: (7,)}
    other |= {7: (10,), 8: (9, 11), 9: (10, 12), 10: (11, 13), 11: (12,)}
    links = [(one, two) for one, heads in other.items() for two in heads]
    assert nx.is_isomorphic(graph, nx.Graph(links))


def test_nsfnet_lies_where_its_sites_are():
    built = nsfnet()
    names = list(built.routers)
    seattle, champaign = names.index("Seattle"), names.index("Champaign")
    link = next(
        link
        for link in range(built.indptr[seattle], built.indptr[seattle + 1])
        if built.head[link] == champaign
    )
    assert built.delay[link] == pytest.approx(2830 / 200, rel=0.01)
    assert (np.diff(built.indptr)[names.index("Houston")], names[8]) == (4, "Pittsburgh")


@pytest.mark.parametrize("count", [3, 4, 10, 100, 1000])
def test_random_networks_are_gabriel_graphs(count):
    built = random_network(count)
    assert built.n_routers == count
    graph = as_graph(built)
    assert nx.is_connected(graph)
    if count > 100:
        assert 1.8 < graph.number_of_edges() / count < 2.1
        assert nx.check_planarity(graph)[0]
    if count <= 100:  # by the definition: no third router in the circle on the link as diameter
        flat = built.place * np.array([1.0, np.cos(np.radians(39.0))])
        for one in range(count):
            for other in range(one):
                radius = np.linalg.norm(flat[one] - flat[other]) / 2
                apart = np.linalg.norm(flat - (flat[one] + flat[other]) / 2, axis=1)
                apart[[one, other]] = np.inf
                assert graph.has_edge(one, other) == (apart.min() >= radius)


def test_a_random_network_is_the_same_whenever_it_is_asked_for():
    assert random_network(100).digest == random_network(100).digest
    assert random_network(100).digest != random_network(101).digest
    assert random_network(100).name == "random-100"


@pytest.mark.parametrize("count", [0, 2, MOST + 1])
def test_random_networks_of_no_use_are_refused(count):
    with pytest.raises(DataError, match=f"from 3 to {MOST}"):
        random_network(count)
