"""The game on one question: positions and moves by hand, and what holds for any calls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.tasks.maths.game import Position, Stage, game


def at(agent: int, asked: set[int], stage: Stage) -> Position:
    return Position(agent, frozenset(asked), stage)


def moves(layout, position):
    """Where each permitted move of a position leads; None at the end."""
    k = layout.positions.index(position)
    return {
        int(action): None if layout.following[k, action] < 0 else layout.positions[found]
        for action in np.flatnonzero(layout.mask[k])
        for found in [layout.following[k, action]]
    }


def test_two_calls_of_one_model_by_hand() -> None:
    layout = game((0, 0))
    assert (layout.n_calls, layout.n_models, layout.n_actions) == (2, 1, 4)
    # Calls 0 and 1; 2 hands to the model, 3 to the closer, who abstains by it. Agent 1 closes.
    expected = {
        at(1, set(), Stage.OPEN): {2: at(0, set(), Stage.WORK)},
        at(0, set(), Stage.WORK): {0: at(0, {0}, Stage.HAND), 1: at(0, {1}, Stage.HAND)},
        at(0, {0}, Stage.HAND): {1: at(0, {0, 1}, Stage.HAND), 3: at(1, {0}, Stage.CLOSE)},
        at(0, {1}, Stage.HAND): {0: at(0, {0, 1}, Stage.HAND), 3: at(1, {1}, Stage.CLOSE)},
        at(0, {0, 1}, Stage.HAND): {3: at(1, {0, 1}, Stage.CLOSE)},
        at(1, {0}, Stage.CLOSE): {0: None, 3: None},
        at(1, {1}, Stage.CLOSE): {1: None, 3: None},
        at(1, {0, 1}, Stage.CLOSE): {0: None, 1: None, 3: None},
    }
    assert set(layout.positions) == set(expected)
    for position, found in expected.items():
        assert moves(layout, position) == found


def test_two_calls_of_two_models_by_hand() -> None:
    layout = game((0, 1))
    # 2 hands to model 0, 3 to model 1, 4 to the closer, agent 2.
    expected = {
        at(2, set(), Stage.OPEN): {2: at(0, set(), Stage.WORK), 3: at(1, set(), Stage.WORK)},
        at(0, set(), Stage.WORK): {0: at(0, {0}, Stage.HAND)},
        at(1, set(), Stage.WORK): {1: at(1, {1}, Stage.HAND)},
        at(0, {0}, Stage.HAND): {3: at(1, {0}, Stage.WORK), 4: at(2, {0}, Stage.CLOSE)},
        at(1, {1}, Stage.HAND): {2: at(0, {1}, Stage.WORK), 4: at(2, {1}, Stage.CLOSE)},
        at(1, {0}, Stage.WORK): {1: at(1, {0, 1}, Stage.HAND)},
        at(0, {1}, Stage.WORK): {0: at(0, {0, 1}, Stage.HAND)},
        at(0, {0, 1}, Stage.HAND): {4: at(2, {0, 1}, Stage.CLOSE)},
        at(1, {0, 1}, Stage.HAND): {4: at(2, {0, 1}, Stage.CLOSE)},
        at(2, {0}, Stage.CLOSE): {0: None, 4: None},
        at(2, {1}, Stage.CLOSE): {1: None, 4: None},
        at(2, {0, 1}, Stage.CLOSE): {0: None, 1: None, 4: None},
    }
    assert set(layout.positions) == set(expected)
    for position, found in expected.items():
        assert moves(layout, position) == found


@st.composite
def owners(draw: st.DrawFn) -> tuple[int, ...]:
    """Up to five calls of models numbered without gaps."""
    models = draw(st.integers(1, 3))
    more = draw(st.lists(st.integers(0, models - 1), max_size=5 - models))
    return tuple(draw(st.permutations([*range(models), *more])))


@given(owner=owners())
def test_play_goes_forward_and_asks_nothing_twice(owner: tuple[int, ...]) -> None:
    layout = game(owner)
    closer = layout.n_models
    start = layout.positions[0]
    assert start == at(closer, set(), Stage.OPEN)
    assert len(set(layout.positions)) == len(layout.positions)
    reached = {0}
    for k, position in enumerate(layout.positions):
        assert layout.mask[k].any()
        assert (layout.following[k][~layout.mask[k]] == -1).all()
        for action in np.flatnonzero(layout.mask[k]):
            after = layout.following[k, action]
            if position.stage == Stage.CLOSE:
                assert after == -1
                assert action in position.asked or action == layout.n_actions - 1
                continue
            assert after > k
            reached.add(int(after))
            new = layout.positions[after]
            if action < layout.n_calls:
                assert owner[action] == position.agent
                assert action not in position.asked
                assert new == at(position.agent, {*position.asked, int(action)}, Stage.HAND)
            else:
                assert new.asked == position.asked
                assert new.agent == action - layout.n_calls != position.agent
    assert reached == set(range(len(layout.positions)))


@pytest.mark.parametrize("owner", [(0,), (0, 1, 0), (0, 1, 2)])
def test_an_agent_that_receives_has_something_to_do(owner: tuple[int, ...]) -> None:
    layout = game(owner)
    for k, position in enumerate(layout.positions):
        if position.stage == Stage.WORK:
            assert layout.mask[k, : layout.n_calls].any()
            assert not layout.mask[k, layout.n_calls :].any()
