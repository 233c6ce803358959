"""The compiled simulator gives what a plain one gives, bit for bit."""

import numpy as np
import pytest
from plain_network import Plain

from batonq.tasks.routing.networks.demand import gravity, next_links, packet_rate
from batonq.tasks.routing.networks.network import network
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.networks.play import Play, Setting, alias_table
from batonq.tasks.routing.networks.rules import RULES, memory

SMALL = network(
    "small",
    tuple("abcd"),
    np.array([(0, 1), (1, 2), (2, 3), (0, 2)]),
    np.array([1.03, 2.17, 1.51, 2.39]),  # odd, so that no two events coincide
    np.zeros((4, 2)),
)


def both(net, name, rho, packets, changes=(), seed=0, service=1.97, kw=None, **setting):
    """Play both simulators through the same changes: a dict from time (share of the horizon)."""
    demand = gravity(net, np.random.default_rng(seed))
    rate = packet_rate(net, demand, service or 1.0, rho)
    given = Setting(rate=rate, horizon=packets / rate, service=service, bins=5, **setting)
    rule = RULES[name]._replace(**(kw or {}))
    table = next_links(net, service)
    ours = Play(net, demand, given, rule, memory(net, rule, table), np.random.default_rng(seed))
    alias = alias_table(demand.share.ravel())
    plain = Plain(net, given, name, rule, np.random.default_rng(seed), alias, table)
    for share, what, link in changes:
        ours.advance(share * given.horizon)
        plain.advance(share * given.horizon)
        if what == "cut":
            ours.cut(link)
            plain.cut(link, share * given.horizon)
        else:
            ours.restore(link)
            plain.restore(link)
    for one in (ours, plain):
        one.advance(given.horizon)
        one.finish()
    return ours, plain


def tables(net, plain, kept):
    """The plain simulator's tables as flat arrays, in the order of the compiled one's."""
    flat = np.zeros(net.n_routers * net.n_links)
    for x in range(net.n_routers):
        for d in range(net.n_routers):
            for k, link in enumerate(plain.own[x]):
                place = net.n_routers * net.indptr[x] + d * len(plain.own[x]) + k
                found = kept[link, d]
                flat[place] = -1.0 if found is None else found
    return flat


def assert_same(net, ours, plain):
    for name in ("born", "delivered", "dropped", "hops", "delay"):
        assert ours.tally[name].tolist() == [one[name] for one in plain.tally], name
    assert ours.hops == plain.handoffs
    assert ours.travel.tolist() == [link.travel for link in plain.links]
    assert np.array_equal(ours.kept.value, tables(net, plain, plain.value))
    if len(ours.kept.best):
        assert np.array_equal(ours.kept.best, tables(net, plain, plain.best))
        assert np.array_equal(ours.kept.recovery, tables(net, plain, plain.recovery))
        assert np.array_equal(ours.kept.updated, tables(net, plain, plain.updated))
    if len(ours.kept.updates):
        assert np.array_equal(ours.kept.updates, tables(net, plain, plain.count))


FAILURE = ((0.4, "cut", 2), (0.7, "restore", 2))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_on_a_loaded_small_network_with_full_queues_and_a_failure(name):
    ours, plain = both(SMALL, name, 1.5, 1500, FAILURE, room=6, jitter=0.3, most_hops=9)
    assert ours.tally["dropped"].sum() > 0
    assert_same(SMALL, ours, plain)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_on_nsfnet(name):
    packets = 300 if name in ("random", "replan") else 2500
    ours, plain = both(nsfnet(), name, 0.9, packets, FAILURE, seed=1, service=5.0, room=30)
    assert ours.tally["delivered"].sum() > 0.5 * packets
    assert_same(nsfnet(), ours, plain)


@pytest.mark.parametrize("kw", [{"private": False}, {"returns": True}, {"toll": 0.0}, {"news": 1.0},
                                {"explore": 0.2}])  # fmt: skip
def test_icq_in_other_settings(kw):
    assert_same(
        SMALL, *both(SMALL, "icq", 0.8, 1500, FAILURE, kw={"news": 0.0, "explore": 0.0} | kw)
    )


@pytest.mark.parametrize("name", ["icq", "q_routing", "predictive_q_routing"])
def test_links_without_queues(name):
    assert_same(SMALL, *both(SMALL, name, 0.5, 800, service=0.0, jitter=0.5))
