"""What holds for packets, links, the calendar and the draws, whatever the network."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.tasks.routing.networks.calendar import pop, push
from batonq.tasks.routing.networks.demand import (
    Demand,
    gravity,
    next_links,
    packet_rate,
    shortest_delays,
    uniform,
)
from batonq.tasks.routing.networks.generated import random_network
from batonq.tasks.routing.networks.network import network
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.networks.play import Play, Setting, alias_table
from batonq.tasks.routing.networks.rules import RULES, memory

LINE = network("line", ("a", "b", "c"), np.array([(0, 1), (1, 2)]), np.array([4.0, 3.0]),
               np.zeros((3, 2)))  # fmt: skip


def start(net, demand, setting, name="shortest_path", seed=0):
    rule = RULES[name]
    kept = memory(net, rule, next_links(net, setting.service))
    return Play(net, demand, setting, rule, kept, np.random.default_rng(seed))


def bear(play, when):
    """A packet is born at `when`, and none for a while."""
    play._flow.next_birth[0] = when
    play.advance(np.nextafter(when, np.inf))
    play._flow.next_birth[0] = np.inf


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=60), st.data())
def test_the_calendar_pops_in_order(whens, data):
    times, items, size = np.empty(len(whens) + 1), np.empty(len(whens) + 1, np.int32), 0
    queue = []
    for item, when in enumerate(whens):
        if size and data.draw(st.booleans()):
            assert times[0] == heapq.heappop(queue)
            assert whens[items[0]] == times[0]
            size = pop(times, items, size)
        size = push(times, items, size, when, item)
        heapq.heappush(queue, when)
    popped = []
    while size:
        popped.append(times[0])
        assert whens[items[0]] == times[0]
        size = pop(times, items, size)
    assert popped == sorted(queue)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda law: sum(law) > 1e-3))
def test_the_alias_table_has_its_law(weights):
    law = np.array(weights) / sum(weights)
    keep, other = alias_table(law)
    drawn = keep.copy()
    np.add.at(drawn, other, 1.0 - keep)
    assert ((keep >= 0) & (keep <= 1 + 1e-12)).all()
    np.testing.assert_allclose(drawn / len(law), law, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(RULES)),
    st.integers(0, 1000),
    st.floats(0.2, 3.0),
    st.integers(1, 20),
    st.floats(0.0, 1.0),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 41), st.booleans()), max_size=4),
)
def test_packets_are_conserved_and_links_never_serve_two(
    name, seed, rho, room, jitter, most_hops, changes
):
    net = nsfnet()
    demand = gravity(net, np.random.default_rng(seed))
    rate = packet_rate(net, demand, 5.0, rho)
    setting = Setting(rate, 600 / rate, 5.0, room, jitter, most_hops, bins=3)
    play = start(net, demand, setting, name, seed)
    for number, (link, cuts) in enumerate(changes):
        play.advance(setting.horizon * (number + 1) / 5)
        (play.cut if cuts else play.restore)(link)
        assert (play.busy <= play.now + (room + 2) * 5.0).all()
    play.advance(setting.horizon)
    under_way = play.tally["born"] - play.tally["delivered"] - play.tally["dropped"]
    assert (under_way >= 0).all()
    play.finish()
    tally = play.tally
    assert (tally["born"] == tally["delivered"] + tally["dropped"]).all()
    assert (tally["hops"] <= most_hops * tally["delivered"]).all()
    # Served one at a time, no work is done faster than time passes until the last is sent.
    done = play._flow.links["free"]
    assert (play.busy <= done + 1e-6).all()
    assert not np.isnan(play.kept.value).any()


def test_a_link_is_first_come_first_served_by_hand():
    # 1 packet a ms from a to b in 2 ms of service: the k-th waits k ms, without chance.
    share = np.array([[0, 1.0, 0], [0, 0, 0], [0, 0, 0]])
    setting = Setting(rate=1.0, horizon=10.0, service=2.0, bins=1)
    play = start(LINE, Demand("one", share), setting)
    for k in range(5):
        bear(play, k)
    assert play.busy.tolist() == [10.0, 0, 0, 0]
    play.finish()
    assert play.tally["delay"][0] == sum(k + 2 + 4 for k in range(5))
    assert play.travel.tolist() == [4.0, 0, 0, 0]


def test_a_full_queue_drops():
    share = np.array([[0, 1.0, 0], [0, 0, 0], [0, 0, 0]])
    setting = Setting(rate=1.0, horizon=100.0, service=50.0, room=3, bins=1)
    play = start(LINE, Demand("one", share), setting)
    for k in range(9):  # at most three services of work ahead: one is sent and three wait
        bear(play, k)
    play.finish()
    assert play.tally["delivered"][0] == 4
    assert play.tally["dropped"][0] == 5


def test_a_cut_loses_only_what_is_on_the_link():
    share = np.array([[0, 1.0, 0], [0, 0, 0], [0, 0, 0]])
    setting = Setting(rate=1.0, horizon=100.0, service=2.0, bins=1)
    play = start(LINE, Demand("one", share), setting, "q_routing")
    for k in range(5):  # sent from 0, 2, 4, 6 and 8 on; the first arrives at 6
        bear(play, k)
    play.advance(7.0)
    play.cut(1)  # the link the other way fails with it
    assert play.tally["dropped"][0] == 3  # on the fibre, on the fibre, being sent
    assert play.busy[0] == 7.0
    assert play._flow.packets["hops"][play._flow.items[0]] == 0
    play.restore(0)
    play.advance(1e3)
    assert play.tally["delivered"][0] == 2
    assert play.tally["delay"][0] == (6 - 0) + (7 + 2 + 4 - 4)
    assert play.hops == 2


def test_called_back_packets_keep_their_order():
    share = np.array([[0, 1.0, 0], [0, 0, 0], [0, 0, 0]])
    setting = Setting(rate=1.0, horizon=100.0, service=1e3, bins=1)
    play = start(LINE, Demand("one", share), setting, "q_routing")
    for k in range(30):
        bear(play, k)
    play.cut(0)
    play.restore(0)
    play.advance(play.now + 1.0)
    order = np.argsort(play._flow.packets["start"][play._flow.items[:29]])
    born = play._flow.packets["born"][play._flow.items[:29]][order]
    assert born.tolist() == list(range(1, 30))


@settings(max_examples=20, deadline=None)
@given(st.integers(5, 40), st.data())
def test_without_load_and_jitter_every_delay_is_dijkstras(routers, data):
    net = random_network(routers)
    pair = data.draw(st.permutations(range(routers)))[:2]
    share = np.zeros((routers, routers))
    share[tuple(pair)] = 1.0
    play = start(net, Demand("one", share), Setting(rate=1.0, horizon=50.0, most_hops=routers))
    play.advance(50.0)
    play.finish()
    delivered = play.tally["delivered"].sum()
    assert delivered == play.tally["born"].sum() > 10
    distance = shortest_delays(net)[tuple(pair)]
    assert play.tally["delay"].sum() / delivered == pytest.approx(distance, rel=1e-9)


def test_births_are_poisson_with_the_demands_law():
    net = nsfnet()
    demand = gravity(net, np.random.default_rng(2))
    setting = Setting(rate=10.0, horizon=4000.0, bins=4000)
    play = start(net, demand, setting)
    play.advance(setting.horizon)
    play.finish()
    born = play.tally["born"]
    assert abs(born.mean() - 10) < 4 * np.sqrt(10 / 4000)
    # Variance of a sample variance of Poisson counts: (mu + 2 mu^2) / n.
    assert abs(born.var() - 10) < 4 * np.sqrt((10 + 200) / 4000)
    mean = (demand.share * shortest_delays(net)).sum()
    square = (demand.share * shortest_delays(net) ** 2).sum()
    error = np.sqrt((square - mean**2) / born.sum())
    assert abs(play.tally["delay"].sum() / born.sum() - mean) < 4 * error


def test_tolls_are_nothing_in_an_idle_network():
    net = nsfnet()
    setting = Setting(rate=1e-6, horizon=1e9, service=1.0)
    play = start(net, uniform(net), setting, "icq")
    play.advance(setting.horizon)
    assert (play._flow.links["used"] < 0.01).all()


@pytest.mark.parametrize(
    ("kw", "word"),
    [({"rate": 0.0}, "rate"), ({"horizon": np.inf}, "horizon"), ({"service": -1.0}, "service"),
     ({"jitter": 1.5}, "jitter"), ({"room": 0}, "room"), ({"bins": 0}, "bins"),
     ({"most_hops": 0}, "most_hops"), ({"rate": np.nan}, "rate")],
)  # fmt: skip
def test_a_setting_that_cannot_be_right_is_named(kw, word):
    with pytest.raises(ModelError, match=word):
        Setting(**({"rate": 1.0, "horizon": 1.0} | kw))
