"""A table that leans on coarser views: by hand, and against working everything out anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.icq import clocks
from batonq.tasks.maths.live.leaning import WEIGHT, LeaningQ
from batonq.tasks.maths.live.online import POWER

Y = tuple[int, tuple[int, ...], tuple[int, ...]]
Update = tuple[Y, int, float]
HERE: Y = (0, (1,), (0,))
LIKE: Y = (0, (1,), (2,))  # the same calls asked, other answers
STAGE: Y = (0, (2,), (0,))  # other calls
ELSEWHERE: Y = (1, (1,), (0,))
ALL = np.ones(2, np.bool_)


def leaning(updates: Sequence[Update] = ()) -> LeaningQ:
    made = LeaningQ(2, clocks.power(POWER))
    for y, action, target in updates:
        made.update(y, action, target)
    return made


def test_one_update_counts_less_the_less_alike_two_states_are() -> None:
    q = leaning([(HERE, 0, 1.0)])
    mean = 1 / (WEIGHT + 1)
    stage = (WEIGHT * mean + 1) / (WEIGHT + 1)
    asked = (WEIGHT * stage + 1) / (WEIGHT + 1)
    seen = (WEIGHT * asked + 1) / (WEIGHT + 1)
    assert q.values(HERE, ALL) == pytest.approx([seen, mean])
    assert q.values(LIKE, ALL) == pytest.approx([asked, mean])
    assert q.values(STAGE, ALL) == pytest.approx([stage, mean])
    assert q.values(ELSEWHERE, ALL) == pytest.approx([mean, mean])
    assert seen > asked > stage > mean > 0
    assert q.quote(HERE, ALL) == pytest.approx(seen)
    assert q.quote(HERE, np.array([False, True])) == pytest.approx(mean)


def test_nothing_learnt_is_nothing_expected() -> None:
    q = leaning()
    assert q.values(HERE, ALL).tolist() == [0.0, 0.0]
    assert q.quote(HERE, ALL) == 0.0


def test_much_that_was_seen_counts_for_itself() -> None:
    q = leaning([(HERE, 0, 1.0), (LIKE, 0, -1.0)] * 2_000)
    # Coarser views stay between both, within the weight of six updates of two thousand.
    assert q.values(HERE, ALL)[0] == pytest.approx(1.0, abs=2 * WEIGHT / 2_000)
    assert q.values(LIKE, ALL)[0] == pytest.approx(-1.0, abs=2 * WEIGHT / 2_000)


STATES = st.sampled_from([HERE, LIKE, STAGE, ELSEWHERE])
UPDATES = st.lists(st.tuples(STATES, st.integers(0, 1), st.floats(-1, 1)), max_size=30)


def plainly(updates: Sequence[Update], y: Y, action: int) -> float:
    """The value of an action, from the list of all updates."""

    def smoothed(targets: Sequence[float]) -> float:
        value = 0.0
        for n, target in enumerate(targets, 1):
            value += n**-POWER * (target - value)
        return value

    found = 0.0
    everything = [target for _, _, target in updates]
    parts = [everything] + [
        [target for other, a, target in updates if a == action and other[:depth] == y[:depth]]
        for depth in (1, 2, 3)
    ]
    for part in parts:
        found = (WEIGHT * found + len(part) * smoothed(part)) / (WEIGHT + len(part))
    return found


@given(UPDATES)
def test_it_is_what_the_list_of_updates_comes_to(updates: list[Update]) -> None:
    q = leaning(updates)
    for y in (HERE, LIKE, STAGE, ELSEWHERE):
        wanted = [plainly(updates, y, action) for action in (0, 1)]
        assert q.values(y, ALL) == pytest.approx(wanted, abs=1e-12)
        least, most = (pick((0.0, *(target for *_, target in updates))) for pick in (min, max))
        assert all(least - 1e-12 <= value <= most + 1e-12 for value in wanted)


@given(UPDATES, st.lists(STATES, max_size=4))
def test_its_table_has_all_that_was_met_and_how_often_it_was_updated(
    updates: list[Update], looked_at: list[Y]
) -> None:
    q = leaning()
    for y in looked_at:
        q.values(y, ALL)
    for y, action, target in updates:
        q.values(y, ALL)
        q.update(y, action, target)
    table = q.table()
    assert list(table.observations) == list(dict.fromkeys([*looked_at, *(y for y, *_ in updates)]))
    for k, y in enumerate(table.observations):
        assert table.q[k] == pytest.approx(q.values(y, ALL))
        counts = [sum(one[:2] == (y, action) for one in updates) for action in (0, 1)]
        assert table.counts[k].tolist() == counts


def test_what_is_frozen_learns_no_more() -> None:
    q = leaning([(HERE, 0, 1.0)])
    still = q.frozen()
    before = still.values(HERE, ALL).tolist()
    q.update(HERE, 0, -1.0)
    assert still.values(HERE, ALL).tolist() == before
    assert q.values(HERE, ALL).tolist() != before
