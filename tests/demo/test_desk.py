"""The demo's world: chances that are chances, tickets that hide what they should."""

from __future__ import annotations

import math

import pytest

from batonq.base.seeds import generator
from batonq.demo import desk
from batonq.demo.desk import ACTIONS, Ticket
from batonq.demo.optimum import finite_desk

TICKETS = finite_desk().tickets


def test_the_chances_of_arrivals_and_of_every_option_sum_to_one() -> None:
    assert math.fsum(chance for chance, _ in desk.arrivals()) == pytest.approx(1)
    for ticket in TICKETS:
        for action in ACTIONS[ticket.holder]:
            ways = desk.outcomes(ticket, action)
            assert math.fsum(way.chance for way in ways) == pytest.approx(1)
            assert all(way.chance > 0 and way.minutes >= 1 for way in ways)
            assert all(desk.WRONG <= way.reward <= desk.RIGHT for way in ways)


def test_an_option_leads_to_the_agent_it_names_or_to_the_end() -> None:
    for ticket in TICKETS:
        for action, target in ACTIONS[ticket.holder].items():
            holders = {way.after and way.after.holder for way in desk.outcomes(ticket, action)}
            assert holders == ({None} if target == desk.END else {target, None})


def test_what_is_hidden_is_shown_to_nobody() -> None:
    for ticket in TICKETS:
        assert not {"need", "right"} & set(ticket.seen())
    answer, patch = (
        Ticket("review", need, draft="answer", looks="sound", right=right)
        for need, right in (("howto", True), ("bug", False))
    )
    assert answer != patch
    assert answer.seen() == patch.seen() == {"draft": "answer", "looks": "sound"}


def test_a_draft_is_right_only_with_what_it_takes() -> None:
    def best(ticket: Ticket, action: str) -> float:
        ways = desk.outcomes(ticket, action)
        stay = math.fsum(way.chance for way in ways if way.after)
        return math.fsum(way.chance for way in ways if way.after and way.after.right) / stay

    assert best(Ticket("search", "howto", "answers"), "draft") == pytest.approx(1)
    assert best(Ticket("search", "howto", "new"), "draft") == 0
    assert best(Ticket("code", "howto", "how"), "patch") == 0
    assert best(Ticket("code", "bug", "none"), "patch") == pytest.approx(0.95)
    assert best(Ticket("code", "upgrade", "vague"), "patch") == pytest.approx(0.1)
    assert best(Ticket("code", "upgrade", "hints"), "patch") == pytest.approx(0.95)


def test_the_fixed_route_takes_actions_that_there_are() -> None:
    for ticket in TICKETS:
        assert desk.fixed_route(ticket.holder, ticket.seen()) in ACTIONS[ticket.holder]


def test_draws_follow_their_chances() -> None:
    rng = generator(0)
    ticket, n = Ticket("code", "bug", "error"), 4000
    ways = desk.outcomes(ticket, "patch")
    found = [desk.drawn(ticket, "patch", rng) for _ in range(n)]
    for way in ways:
        # Five standard deviations of a binomial share.
        slack = 5 * math.sqrt(way.chance * (1 - way.chance) / n)
        assert found.count(way) / n == pytest.approx(way.chance, abs=slack)
    arrived = [desk.arriving(rng) for _ in range(n)]
    for chance, first in desk.arrivals():
        assert arrived.count(first) / n == pytest.approx(chance, abs=5 * math.sqrt(chance / n))
