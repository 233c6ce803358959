import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.tasks.routing.networks.demand import next_links, shortest_delays
from batonq.tasks.routing.networks.generated import random_network
from batonq.tasks.routing.networks.greedy import costs, link_values, way
from batonq.tasks.routing.networks.network import network
from batonq.tasks.routing.networks.rules import ICQ, RULES, Rule

# Links: 0 a-b, 1 a-c, 2 b-a, 3 b-c, 4 c-a, 5 c-b, 6 c-d, 7 d-c.
KITE = network(
    "kite",
    tuple("abcd"),
    np.array([[0, 1], [0, 2], [1, 2], [2, 3]]),
    np.array([1.0, 5.0, 2.0, 4.0]),
    np.zeros((4, 2)),
)


def test_entries_are_read_where_the_rules_keep_them():
    value = np.arange(KITE.n_routers * KITE.n_links, dtype=float)
    read = link_values(KITE, Rule(ICQ, private=False), value, np.zeros(8))
    for link in range(KITE.n_links):
        router = KITE.tail[link]
        first = KITE.indptr[router]
        degree = KITE.indptr[router + 1] - first
        for destination in range(4):
            assert read[link, destination] == 4 * first + destination * degree + link - first
    travel = np.arange(8) / 10
    private = link_values(KITE, Rule(ICQ, private=True), value, travel)
    assert private == pytest.approx(read - travel[:, None])
    assert (link_values(KITE, RULES["q_routing"], value, travel) == -read).all()
    assert (value == np.arange(32)).all()  # reading changes nothing


def test_ways_go_by_the_best_link_and_not_straight_back():
    values = np.zeros((8, 4))
    values[:, 3] = [-1.0, -2.0, -1.0, -2.0, -3.0, -2.0, -1.0, 0.0]  # for packets to d
    free, onward = way(KITE, values, returns=True), way(KITE, values, returns=False)
    assert free[8:, 3].tolist() == onward[8:, 3].tolist() == [0, 2, 6, 7]
    assert free[:8, 3].tolist() == [2, 6, 0, 6, 0, 2, 7, 6]  # by the router alone
    # b has it from a: not back by 2 but on by 3; a has it from b: on by 1, d must send it back.
    assert onward[:8, 3].tolist() == [3, 6, 1, 6, 0, 2, 7, 5]


def test_what_a_way_costs_by_hand():
    values = np.zeros((8, 4))
    values[:, 3] = [-1.0, -2.0, -1.0, -2.0, -3.0, -2.0, -1.0, 0.0]
    onward = costs(KITE, way(KITE, values, returns=False))
    assert onward[:, 3].tolist() == [1 + 2 + 4, 1 + 5 + 4, 4, 0]
    free = costs(KITE, way(KITE, values, returns=True))
    assert free[:, 3].tolist() == [np.inf, np.inf, 4, 0]  # a and b send it to and fro


@given(st.integers(3, 40), st.booleans(), st.booleans())
@settings(max_examples=20)
def test_tables_of_the_true_values_give_shortest_ways(count, returns, private):
    built = random_network(count)
    distance = shortest_delays(built)
    rule = Rule(ICQ, private=private, returns=returns)
    value = np.empty(built.n_routers * built.n_links)
    for link in range(built.n_links):
        first = built.indptr[built.tail[link]]
        degree = built.indptr[built.tail[link] + 1] - first
        at = count * first + np.arange(count) * degree + link - first
        value[at] = -distance[built.head[link]] - (0 if private else built.delay[link])
    values = link_values(built, rule, value, built.delay)
    assert costs(built, way(built, values, returns)) == pytest.approx(distance, abs=1e-9)


@given(st.integers(3, 40))
@settings(max_examples=20)
def test_the_table_of_shortest_path_costs_what_dijkstra_says(count):
    built = random_network(count)
    links = next_links(built)
    found = costs(built, np.concatenate([links[built.head], links]))
    assert found == pytest.approx(shortest_delays(built), abs=1e-9)
