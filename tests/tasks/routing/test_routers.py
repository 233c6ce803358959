"""IC-Q without private state is Q-routing; equations of routers and peers by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.tasks.routing.networks import icq_router, peers
from batonq.tasks.routing.networks.demand import gravity, next_links, packet_rate
from batonq.tasks.routing.networks.network import network
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.networks.play import Play, Setting
from batonq.tasks.routing.networks.rules import RULES, Rule, memory


def played(net, rule, rho=0.95, packets=20_000, seed=3, **setting):
    demand = gravity(net, np.random.default_rng(seed))
    service = 4.0
    rate = packet_rate(net, demand, service, rho)
    given = Setting(rate=rate, horizon=packets / rate, service=service, **setting)
    kept = memory(net, rule, next_links(net, service))
    play = Play(net, demand, given, rule, kept, np.random.default_rng(seed))
    play.advance(given.horizon)
    play.finish()
    return play


@pytest.mark.parametrize("step", [0.5, 0.1])
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_icq_without_private_state_is_q_routing_bit_for_bit(step, jitter):
    """gamma = 1, no private state, rewards in place of costs, packets may go straight back."""
    ours = RULES["icq"]._replace(
        private=False, returns=True, step=step, toll=0.0, news=0.0, explore=0.0
    )
    theirs = RULES["q_routing"]._replace(step=step)
    one = played(nsfnet(), ours, jitter=jitter, room=20)
    other = played(nsfnet(), theirs, jitter=jitter, room=20)
    assert one.tally["delay"].sum() / one.tally["delivered"].sum() > 30  # loaded: 26 ms when idle
    assert np.array_equal(one.kept.value, -other.kept.value)
    assert np.array_equal(one.tally, other.tally)
    assert one.hops == other.hops
    assert np.array_equal(one.busy, other.busy)


def test_q_routing_by_hand():
    # q = 3 in the queue, s = 2 on the way, t = 7 told: Q = 10 + (12 - 10) / 2.
    assert peers.moved(10.0, 3.0 + 2.0 + 7.0, 0.5) == 11.0
    assert peers.moved(10.0, 12.0, 1.0) == 12.0


def test_predictive_q_routing_by_hand():
    # Q = 10, best 6, recovering by half a ms a ms: after 4 ms it is thought to be 8, after 100 6.
    assert peers.predicted(10.0, 6.0, -0.5, 4.0) == 8.0
    assert peers.predicted(10.0, 6.0, -0.5, 100.0) == 6.0
    # An improvement by 8 in 4 ms: R = -0.5 + 0.7 * (-8 / 4). Worse: R fades to 0.9 of itself.
    assert peers.recovered(-0.5, -8.0, 4.0, 0.7, 0.9) == pytest.approx(-1.9)
    assert peers.recovered(-0.5, 3.0, 4.0, 0.7, 0.9) == pytest.approx(-0.45)
    assert peers.recovered(-0.5, 0.0, 4.0, 0.7, 0.9) == -0.5


PAIR = network("pair", ("a", "b", "c"), np.array([(0, 1), (1, 2)]), np.array([2.0, 3.0]),
               np.zeros((3, 2)))  # fmt: skip
AB, BA, BC, CB = range(4)


def one_packet(rule, waiting=0.0, value=()):
    """A packet from a to c over b, both links of the way busy for `waiting` ms; what is kept."""
    kept = memory(PAIR, rule)
    for link, destination, cost in value:
        kept.value[entry(link, destination)] = cost
    demand = gravity(PAIR, np.random.default_rng(0))
    share = np.zeros((3, 3))
    share[0, 2] = 1.0
    demand = type(demand)("one", share)
    setting = Setting(rate=1.0, horizon=1.0, service=1.0)
    play = Play(PAIR, demand, setting, rule, kept, np.random.default_rng(0))
    play._flow.next_birth[0] = 0.5
    play._flow.links["free"][[AB, BC]] = 0.5 + waiting
    play._flow.links["free"][BA] = 0.5 + waiting + 4.0
    play.advance(np.nextafter(0.5, 1))
    play._flow.next_birth[0] = np.inf
    play.advance(1e6)
    assert play.tally["delivered"].sum() == 1
    return kept


def entry(link, destination):
    """In a chain of three routers: where the tables have the tail's value of a link."""
    begin, degree, own = {AB: (0, 1, 0), BA: (1, 2, 0), BC: (1, 2, 1), CB: (3, 1, 0)}[link]
    return 3 * begin + destination * degree + own


def test_q_routing_end_to_end_by_hand():
    # a waits 5, serves 1, travels 2; b answers 4, its least for c (BC 4, BA 9).
    kept = one_packet(RULES["q_routing"], 5.0, [(AB, 2, 6.0), (BC, 2, 4.0), (BA, 2, 9.0)])
    assert kept.value[entry(AB, 2)] == pytest.approx(6 + 0.5 * (5 + 1 + 2 + 4 - 6))
    # At b at 8.5 its link is idle again: serves 1, travels 3, and c answers 0.
    assert kept.value[entry(BC, 2)] == pytest.approx(4 + 0.5 * (0 + 1 + 3 + 0 - 4))
    assert kept.value[entry(BA, 2)] == 9.0


def test_q_routing_with_own_queue_leaves_its_own_wait_out():
    kept = one_packet(RULES["q_routing_queue"], 5.0, [(AB, 2, 6.0), (BC, 2, 4.0), (BA, 2, 9.0)])
    assert kept.value[entry(AB, 2)] == pytest.approx(6 + 0.5 * (1 + 2 + 4 - 6))
    assert kept.value[entry(BC, 2)] == pytest.approx(4 + 0.5 * (1 + 3 - 4))


def test_dual_q_routing_learns_the_way_back():
    rule = RULES["dual_q_routing"]
    kept = one_packet(rule, 5.0, [(AB, 2, 6.0), (BC, 2, 4.0), (BA, 2, 9.0), (BA, 0, 8.0)])
    assert kept.value[entry(AB, 2)] == pytest.approx(6 + 0.7 * (5 + 1 + 2 + 4 - 6))
    # b hears 0 from the source, at 8.5; its own link back is free at 9.5: 1 + 1 + 2.
    back = 8 + 0.9 * (1 + 1 + 2 + 0 - 8)
    assert kept.value[entry(BA, 0)] == pytest.approx(back)
    # c hears the least of b's estimates for a: by BA as just learnt, or by BC still 0.
    assert kept.value[entry(CB, 0)] == pytest.approx(0.9 * (0 + 1 + 3 + 0))


def test_predictive_q_routing_end_to_end_by_hand():
    rule = RULES["predictive_q_routing"]
    kept = one_packet(rule, 5.0, [(AB, 2, 6.0), (BC, 2, 4.0), (BA, 2, 9.0)])
    assert kept.value[entry(AB, 2)] == kept.best[entry(AB, 2)] == pytest.approx(5 + 1 + 2 + 4)
    assert kept.updated[entry(AB, 2)] == pytest.approx(8.5)
    assert kept.recovery[entry(AB, 2)] == 0.0
    assert kept.updated[entry(BA, 2)] == peers.NEVER


def test_icq_subtracts_what_it_knows():
    rule = RULES["icq"]._replace(toll=0.0, news=0.0, explore=0.0)
    kept = one_packet(rule, 5.0, [(AB, 2, -6.0), (BC, 2, -4.0), (BA, 2, -9.0)])
    # b's queue is idle by then, its link not yet measured: it quotes service and its table.
    assert kept.value[entry(AB, 2)] == pytest.approx(-(1 + 4))
    assert kept.value[entry(BC, 2)] == 0.0


def test_shortest_path_needs_its_table():
    with pytest.raises(ModelError, match="next_link"):
        memory(PAIR, RULES["shortest_path"])
    assert memory(PAIR, Rule(0)).value.shape == (12,)


def test_tolls_vanish_without_load_and_are_bounded():
    assert icq_router.toll(0.0, 5.0, 1.0) == 0.0
    assert icq_router.utilisation(0.99, 0.0, 1.0) == icq_router.MOST_USED
    assert icq_router.utilisation(0.5, 1e9, 1.0) == 0.0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 100_000), st.floats(0.001, 0.5))
def test_step_sizes_fall_to_the_least_and_are_settled_then(count, least):
    size = icq_router.size(count, least)
    assert least <= size <= 1.0
    assert size >= icq_router.size(count + 1, least)
    if count > icq_router.settled(least):
        assert size == least


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
def test_the_mean_toll_is_the_externality_of_a_packet(rho):
    """In a simulated M/D/1 queue: lambda dW/dlambda, with W = rho / (2 (1 - rho)) services."""
    rng = np.random.default_rng(5)
    batches, length = 40, 20_000
    means = np.empty(batches)
    for batch in range(batches):
        gaps = rng.exponential(1 / rho, length)
        work = np.cumsum(np.concatenate([[0.0], 1.0 - gaps[:-1]]))
        waits = work - np.minimum.accumulate(work)  # Lindley's recursion
        means[batch] = np.mean([icq_router.toll(rho, wait, 1.0) for wait in waits[2000:]])
    expected = rho * (1 / (2 * (1 - rho)) + rho / (2 * (1 - rho) ** 2))
    assert abs(means.mean() - expected) < 4 * means.std(ddof=1) / math.sqrt(batches)


@pytest.mark.parametrize(("rho", "wait"), [(0.3, 0.0), (0.6, 0.0), (0.6, 2.5)])
def test_a_toll_is_what_one_packet_more_costs_those_behind_it(rho, wait):
    """The same arrivals, behind `wait` services of work with and without a packet on top."""
    plays, length = 20_000, 200
    gaps = np.random.default_rng(7).exponential(1 / rho, (length, plays))
    without, with_it, lost = np.full(plays, wait), np.full(plays, wait + 1.0), np.zeros(plays)
    for gap in gaps:
        without, with_it = np.maximum(without - gap, 0.0), np.maximum(with_it - gap, 0.0)
        lost += with_it - without
        without, with_it = without + 1.0, with_it + 1.0
    assert (with_it - without).max() < 0.05  # nobody is late any more
    error = lost.std(ddof=1) / math.sqrt(plays)
    assert abs(lost.mean() - icq_router.toll(rho, wait, 1.0)) < 4 * error < 0.2


def test_measured_use_is_the_share_of_time_a_link_is_busy():
    rng, used, last, now = np.random.default_rng(6), 0.0, 0.0, 0.0
    for gap in rng.exponential(1 / 0.6, 60_000):
        now += gap
        used, last = icq_router.use(used, now - last, 1.0), now
    # An average over 3,000 services of Poisson counts: standard deviation sqrt(.6 / 6,000).
    assert abs(icq_router.utilisation(used, 0.0, 1.0) - 0.6) < 4 * math.sqrt(0.6 / 6000)
