"""The desk as a finite model: against draws from the desk, by hand, and by enumeration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from batonq.base.seeds import generator
from batonq.demo import desk
from batonq.demo.desk import ACTIONS, GAMMA, LEAVES, Ticket
from batonq.demo.nodes import BITS, EXPLORE, INITIAL, QUOTES, STEP
from batonq.demo.optimum import Cell, Desk, Score, feasible, finite_desk, marks
from batonq.demo.options import HANDOFFS
from batonq.icq import clocks
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.environment import ModelEnvironment
from batonq.icq.train import train
from batonq.smdp.exact import optimal
from batonq.wire.scalar import Scalar, decode, encode

WORLD = finite_desk()


def played(choice: Mapping[Cell, str], seed: int, requests: int) -> tuple[np.ndarray, float]:
    """Returns of requests drawn from the desk, and the share closed rightly."""
    returns, right = np.zeros(requests), 0
    for number in range(requests):
        rng = generator(seed, number)
        ticket, weight = desk.arriving(rng), 1.0
        while True:
            way = desk.drawn(ticket, choice[Cell.of(ticket)], rng)
            returns[number] += weight * way.reward
            weight *= GAMMA**way.minutes
            if way.after is None:
                right += way.right
                break
            ticket = way.after
    return returns, right / requests


def choice_of(world: Desk, policy: np.ndarray) -> dict[Cell, str]:
    return {
        cell: list(ACTIONS[cell.agent])[action]
        for cell, action in zip(world.cells, policy, strict=True)
    }


@pytest.mark.parametrize("which", ["feasible", "fixed"])
def test_draws_from_the_desk_come_to_what_the_model_says(which: str) -> None:
    choice = choice_of(WORLD, feasible(WORLD))
    if which == "fixed":
        choice = {cell: desk.fixed_route(cell.agent, dict(cell.seen)) for cell in WORLD.cells}
    exact, requests = WORLD.score_of(choice), 2000
    returns, right = played(choice, 3, requests)
    # Five standard errors.
    assert returns.mean() == pytest.approx(exact.value, abs=5 * returns.std() / requests**0.5)
    spread = math.sqrt(exact.right * (1 - exact.right) / requests)
    assert right == pytest.approx(exact.right, abs=5 * spread)


def test_the_optimum_of_a_howto_by_hand() -> None:
    """Who sees everything looks until there is a page, drafts and publishes whatever it looks."""
    value = optimal(WORLD.model).value
    stays = 1 - LEAVES
    drafted = -0.02 + stays * GAMMA**2 * 1.0
    lasting = stays * (GAMMA**2 + GAMMA**4) / 2
    # v = -cost + lasting (0.95 drafted + 0.05 v): a look that finds nothing starts again.
    looked = (-0.04 + lasting * 0.95 * drafted) / (1 - lasting * 0.05)
    handed = -0.01 + stays * GAMMA * looked
    for ticket, by_hand in (
        (Ticket("search", "howto", "answers"), drafted),
        (Ticket("search", "howto", "new"), looked),
        (Ticket("intake", "howto", "vague"), handed),
    ):
        assert value[WORLD.tickets.index(ticket)] == pytest.approx(by_hand, abs=1e-9)


def test_marks_are_in_order_and_apart() -> None:
    found = marks(WORLD)
    assert found.untrained.value < found.fixed.value < found.feasible.value < found.full.value
    assert found.feasible.value > 0.95 * found.full.value
    assert found.fixed.value < 0.3 * found.full.value
    assert 0 < found.untrained.right < found.fixed.right < 0.5 < found.feasible.right < 1


def test_share_of_right_outcomes_of_the_fixed_route_by_hand() -> None:
    """Handed, looked up, drafted: three options to stay through, and only a howto with a page."""
    route = {cell: desk.fixed_route(cell.agent, dict(cell.seen)) for cell in WORLD.cells}
    by_hand = 0.4 * 0.95 * (1 - LEAVES) ** 3
    assert WORLD.score_of(route).right == pytest.approx(by_hand, abs=1e-12)


def test_branch_and_bound_finds_what_enumeration_finds() -> None:
    """Over the cells of review, and those of search and code that a request meets first."""
    best = feasible(WORLD)
    free = [
        number
        for number, cell in enumerate(WORLD.cells)
        if cell.agent == "review" or dict(cell.seen).get("note") in ("new", "error")
    ]
    values: list[float] = []
    for actions in product(*(np.flatnonzero(WORLD.model.cell_mask[number]) for number in free)):
        policy = best.copy()
        policy[free] = actions
        values.append(WORLD.score(policy[WORLD.model.cell]).value)
    assert len(values) == 3**4 * (3 * 2) * (3 * 2)
    assert WORLD.score(best[WORLD.model.cell]).value == pytest.approx(max(values), abs=1e-9)


def test_with_lossless_interfaces_the_feasible_policy_is_the_optimum() -> None:
    model = WORLD.model
    seen = replace(WORLD, model=model.seen_as(np.arange(model.n_states)))
    found = WORLD.score(feasible(seen))
    assert found.value == pytest.approx(marks(WORLD).full.value, abs=1e-9)


def test_agents_learn_it_with_eight_bits_within_the_handoffs_of_the_demo() -> None:
    scalar = Scalar(*QUOTES, bits=BITS, rounding="nearest")
    run = train(
        ModelEnvironment(WORLD.model),
        handoffs=HANDOFFS,
        seeds=3,
        seed=1,
        clock=clocks.constant(STEP),
        behaviour=epsilon_greedy(EXPLORE),
        initial=INITIAL,
        points=1,
        exchange=lambda quote: decode(scalar, encode(scalar, quote, 0.5)),
    )
    full = marks(WORLD).full.value
    for tables in run.tables:
        choice = {}
        for name, table in tables.items():
            for seen, row in zip(table.observations, table.q, strict=True):
                actions = list(ACTIONS[name])
                choice[WORLD.cells[int(seen)]] = actions[int(row[: len(actions)].argmax())]  # type: ignore[call-overload]
        unmet = {cell: next(iter(ACTIONS[cell.agent])) for cell in WORLD.cells}
        assert WORLD.score_of(unmet | choice).value >= 0.9 * full


def test_a_score_is_of_the_requests_that_come_in() -> None:
    publish = {cell: next(iter(ACTIONS[cell.agent])) for cell in WORLD.cells}
    # Everybody works for ever, until the customer gives up: nothing is ever closed.
    publish |= {c: "to search" for c in WORLD.cells if c.agent in ("code", "review")}
    score = WORLD.score_of(publish)
    assert isinstance(score, Score)
    assert score.right == 0
    assert score.value < 0
