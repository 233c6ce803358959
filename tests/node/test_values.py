"""What is learnt: the table against `icq`'s, corrections against having been right at first."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.icq.tabular import TabularQ
from batonq.node.neural import neural_values
from batonq.node.values import TableValues, Values, linear_values, remaining

TARGETS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.floats(-3, 3)), max_size=30)
CLOCKS = st.sampled_from([clocks.constant(0.3), clocks.power(0.7), clocks.rescaled_linear(0.9)])


@given(TARGETS, CLOCKS)
def test_a_table_is_that_of_icq_to_the_last_bit(
    targets: Sequence[tuple[int, int, float]], clock: Clock
) -> None:
    ours, theirs = TableValues(clock, 0.5), TabularQ(2, clock, 0.5)
    for y, action, target in targets:
        ours.learn(str(y), str(action), target)
        theirs.update(y, action, target)
    for y, row in theirs.rows.items():
        assert ours.at(str(y), ("0", "1")) == row.tolist()
        assert [ours.next_count(str(y), a) - 1 for a in ("0", "1")] == theirs.counts[y]


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12), st.data(), CLOCKS)
def test_a_correction_equals_having_been_right(
    targets: list[float], data: st.DataObject, clock: Clock
) -> None:
    k = data.draw(st.integers(0, len(targets) - 1))
    right = data.draw(st.floats(-3, 3))
    corrected, known = TableValues(clock), TableValues(clock)
    for n, target in enumerate(targets):
        corrected.learn("y", "a", target)
        known.learn("y", "a", right if n == k else target)
    corrected.shift("y", "a", right - targets[k], k + 1)
    assert corrected.at("y", ["a"]) == pytest.approx(known.at("y", ["a"]), abs=1e-12)


@given(CLOCKS, st.integers(1, 50))
def test_weights_of_all_updates_and_the_start_sum_to_one(clock: Clock, latest: int) -> None:
    total = sum(remaining(clock, n, latest) for n in range(1, latest + 1))
    start = np.prod([1 - clocks.size(clock, n) for n in range(1, latest + 1)])
    assert total + start == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["table", "linear", "neural"])
def test_kept_and_read_back_it_goes_on_the_same(kind: str) -> None:
    def new() -> Values:
        if kind == "table":
            return TableValues(clocks.power(0.7), 0.1)
        return linear_values() if kind == "linear" else neural_values()

    values, steps = new(), [('{"k":1}', "a", 1.0), ('{"k":2}', "b", -1.0), ('{"k":1}', "a", 0.5)]
    for y, action, target in steps:
        values.learn(y, action, target)
    again = new()
    again.load(json.loads(json.dumps(values.to_json())))
    frozen = values.frozen(restart=False)
    before = frozen.at('{"k":1}', ["a", "b", "c"])
    for one in (values, again):
        one.learn('{"k":1}', "a", 2.0, 0.5)
        one.shift('{"k":1}', "a", 0.25, 2)
    assert again.to_json() == values.to_json()
    assert again.at('{"k":1}', ["a", "b", "c"]) == values.at('{"k":1}', ["a", "b", "c"])
    assert frozen.at('{"k":1}', ["a", "b", "c"]) == before
    assert before[0] > 0 > frozen.at('{"k":2}', ["b"])[0]
    values.frozen(restart=True)
    assert values.next_count('{"k":1}', "a") == 1


def test_a_new_action_is_worth_nothing_yet() -> None:
    assert TableValues(clocks.constant(0.5), 0.3).at("y", ["a"]) == [0.3]
    assert linear_values().at("{}", ["a"]) == [0.0]
    assert neural_values().at("{}", ["a"]) == [0.0]
