import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.tasks.routing.networks.demand import (
    Demand,
    busiest,
    gravity,
    link_shares,
    next_links,
    packet_rate,
    shortest_delays,
    uniform,
)
from batonq.tasks.routing.networks.generated import random_network
from batonq.tasks.routing.networks.network import network


def small(ends, delay):
    ends = np.array(ends)
    count = int(ends.max()) + 1
    names = "abcdefgh"[:count]
    return network("t", tuple(names), ends, np.array(delay, float), np.zeros((count, 2)))


CHAIN = small([(0, 1), (1, 2)], [1, 2])  # links 0: a-b, 1: b-a, 2: b-c, 3: c-b
SQUARE = small([(0, 1), (1, 2), (2, 3), (0, 3)], [1, 1, 1, 1])


def test_a_chain_by_hand():
    assert shortest_delays(CHAIN).tolist() == [[0, 1, 3], [1, 0, 2], [3, 2, 0]]
    assert shortest_delays(CHAIN, 0.5).tolist() == [[0, 1.5, 4], [1.5, 0, 2.5], [4, 2.5, 0]]
    assert next_links(CHAIN).tolist() == [[-1, 0, 0], [1, -1, 2], [3, 3, -1]]
    assert link_shares(CHAIN, uniform(CHAIN)) == pytest.approx([1 / 3] * 4)
    skew = np.array([[0, 0.5, 0.2], [0, 0, 0.1], [0.2, 0, 0]])
    assert link_shares(CHAIN, Demand("skew", skew)) == pytest.approx([0.7, 0.2, 0.3, 0.2])
    assert busiest(CHAIN, Demand("skew", skew)) == (0, pytest.approx(0.7))
    # .7 of the packets cross a link that sends one in .5 ms: 2 / .7 a ms would fill it.
    assert packet_rate(CHAIN, Demand("skew", skew), 0.5, 0.9) == pytest.approx(0.9 * 2 / 0.7)


def test_service_can_make_the_path_with_fewer_links_the_shorter():
    detour = small([(0, 1), (1, 2), (0, 2)], [1, 1, 2.5])  # links of a: 0 to b, 1 to c
    assert next_links(detour)[0, 2] == 0
    assert next_links(detour, 1.0)[0, 2] == 1


def test_of_equal_paths_the_lowest_link_is_taken():
    links = next_links(SQUARE)  # a: 0 to b, 1 to d; b: 2 to a, 3 to c; ...
    assert links[0, 2] == 0
    assert links[1, 3] == 2
    nearly = small([(0, 1), (1, 2), (2, 3), (0, 3)], [1 + 1e-12, 1, 1, 1])
    assert (next_links(nearly) == links).all()


@given(st.integers(3, 40), st.sampled_from([0.0, 0.3, 5.0]))
@settings(max_examples=25)
def test_following_the_next_links_takes_a_shortest_path(count, service):
    built = random_network(count)
    graph = nx.Graph()
    for tail, head, delay in zip(built.tail, built.head, built.delay, strict=True):
        graph.add_edge(int(tail), int(head), weight=float(delay) + service)
    links = next_links(built, service)
    lengths = dict(nx.all_pairs_dijkstra_path_length(graph))
    for source in range(count):
        for destination in range(count):
            at, walked, hops = source, 0.0, 0
            while at != destination:
                walked += built.delay[links[at, destination]] + service
                at = int(built.head[links[at, destination]])
                hops += 1
                assert hops < count
            assert walked == pytest.approx(lengths[source][destination], abs=1e-8)
            assert shortest_delays(built, service)[source, destination] == pytest.approx(walked)


@given(st.integers(3, 25), st.integers(0, 5))
@settings(max_examples=15)
def test_link_shares_are_what_walking_every_pair_counts(count, seed):
    built = random_network(count)
    demand = gravity(built, np.random.default_rng(seed))
    links = next_links(built, 0.2)
    counted = np.zeros(built.n_links)
    for source, destination in np.argwhere(demand.share > 0):
        at = source
        while at != destination:
            counted[links[at, destination]] += demand.share[source, destination]
            at = built.head[links[at, destination]]
    assert link_shares(built, demand, 0.2) == pytest.approx(counted, abs=1e-12)


def test_demands_are_shares():
    assert uniform(CHAIN).share.tolist() == [
        [0, 1 / 6, 1 / 6],
        [1 / 6, 0, 1 / 6],
        [1 / 6, 1 / 6, 0],
    ]
    share = gravity(SQUARE, np.random.default_rng(1)).share
    assert share.sum() == pytest.approx(1)
    assert (share == share.T).all()
    assert share[0, 1] * share[2, 3] == pytest.approx(share[0, 3] * share[1, 2])  # as products are
    assert np.ptp(share[share > 0]) > 0


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (np.array([[0, 1.5], [-0.5, 0]]), "negative"),
        (np.array([[0, np.nan], [1, 0]]), "not finite"),
        (np.array([[0.5, 0.5], [0, 0]]), "to itself"),
        (np.array([[0, 0.5], [0.4, 0]]), "sum to 0.9"),
    ],
)
def test_what_is_no_share_is_refused(share, said):
    with pytest.raises(ModelError, match=said):
        Demand("d", share)


@pytest.mark.parametrize(
    ("service", "rho"), [(0.0, 0.5), (1.0, 0.0), (1.0, -0.1), (1.0, np.inf), (-1.0, 0.5)]
)
def test_no_rate_without_service_or_load(service, rho):
    with pytest.raises(ModelError, match="positive"):
        packet_rate(CHAIN, uniform(CHAIN), service, rho)
