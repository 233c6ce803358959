"""Segments: which records belong together, and what is left out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from field_logs import made_log
from hypothesis import given
from hypothesis import strategies as st
from segment_records import step

from batonq.base.errors import DataError
from batonq.bound.segments import Seen, drawn, segments, table_of, table_of_log


def names(found):
    return [[one.handoff_id for one in segment.steps] for segment in found]


def test_keeping_control_goes_on_and_anything_else_closes():
    records = [
        step(to="desk", name="1"),
        step(to="desk", name="2"),
        step(to="search", name="3"),
        step(to=None, end="terminal", quote=None, name="4"),
        step(to="desk", end="truncated", quote=1.0, name="5"),
        step(to="search", name="6"),
    ]
    found, dropped = segments(records)
    assert names(found) == [["1", "2", "3"], ["4"], ["5"], ["6"]]
    assert dropped == 0


def test_what_has_no_quote_or_goes_on_is_left_out_and_counted():
    records = [step(name="1"), step(quote=None), step(name="3"), step(to="desk")]
    found, dropped = segments(records)
    assert names(found) == [["1"], ["3"]]
    assert dropped == 2


def test_interleaved_workflows_are_told_apart():
    records = [
        step(to="desk", name="x1"),
        step(to="desk", name="y1"),
        step(to="search", name="y2"),
        step(to="search", name="x2"),
        step(to="search", name="y3"),
    ]
    found, dropped = segments(records, lambda one: one.handoff_id[0])
    assert names(found) == [["x1", "x2"], ["y1", "y2"], ["y3"]]
    assert [one.workflow for one in found] == ["x", "y", "y"]
    assert dropped == 0
    table = table_of(found, 0.5)
    assert table.workflow.tolist() == [0, 1, 1]
    assert names(segments(records)[0]) == [["x1", "y1", "y2"], ["x2"], ["y3"]]  # taken as a stream


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_every_record_of_a_closed_segment_is_in_exactly_one(events):
    records = [
        step(to="desk" if goes_on else "search", name=f"{workflow}-{k}")
        for k, (workflow, goes_on) in enumerate(events)
    ]
    found, dropped = segments(records, lambda one: one.handoff_id.partition("-")[0])
    used = [name for segment in names(found) for name in segment]
    assert len(used) == len(set(used))
    ended = {
        w: max((k for k, e in enumerate(events) if e == (w, False)), default=-1) for w in range(4)
    }
    assert set(used) == {f"{w}-{k}" for k, (w, _) in enumerate(events) if k <= ended[w]}
    assert dropped == sum(
        any(k > ended[w] for k, e in enumerate(events) if e[0] == w) for w in range(4)
    )
    arrivals = [int(segment[0].partition("-")[2]) for segment in names(found)]
    assert arrivals == sorted(arrivals)


def test_a_table_holds_what_the_records_say():
    records = [
        step("a", 1, propensity=0.25, reward=1.0, duration=2.0, to="desk", quote=9.0),
        step("b", 0, propensity=math.nan, reward=2.0, quote=4.0),
        step("a", 0, reward=3.0, to=None, end="terminal", quote=None),
    ]
    found, _ = segments(records)
    seen = {records[1].handoff_id: Seen(frozenset({0}), {0: 0.5}, 0)}
    table = table_of(found, 0.5, seen=seen, dropped=3)
    assert (table.observations, table.actions, table.dropped) == (("a", "b"), (0, 1), 3)
    assert table.y.tolist() == [0, 1, 0]
    assert table.action.tolist() == [1, 0, 0]
    assert table.discount.tolist() == [0.25, 0.5, 0.5]
    assert table.quote.tolist() == [0.0, 4.0, 0.0]  # one's own value is not what closes a segment
    assert table.propensity[0] == 0.25
    assert math.isnan(table.propensity[1])
    assert table.start.tolist() == [0, 2]
    assert table.lengths().tolist() == [2, 1]
    assert table.segment().tolist() == [0, 0, 1]
    assert table.goes_on().tolist() == [True, False, False]
    assert table.permitted.tolist() == [[True, True], [True, False], [True, True]]
    assert table.default.tolist() == [-1, 0, -1]
    assert table.values[1, 0] == 0.5
    assert np.isnan(table.values).sum() == 5
    assert [(a.tolist(), r.tolist()) for a, r in table.depths()] == [([0, 1], [0, 2]), ([0], [1])]


def test_a_log_is_cut_where_control_leaves():
    log = made_log(np.arange(6.0), np.array([0, 1, 0, 1, 0, 1]), np.array([0, 1, 1, 0, 1, 0]))
    log = replace(
        log,
        receiver=np.array([0, 1, 0, 0, -1, 0]),
        end=np.array([0, 0, 0, 2, 1, 0]),
        quote=np.array([7.0, 5.0, 7.0, 3.0, 0.0, 7.0]),
    )
    table = table_of_log(log)
    assert table.start.tolist() == [0, 2, 4]
    assert table.quote.tolist() == [0.0, 5.0, 0.0, 3.0, 0.0]
    assert table.dropped == 1
    with pytest.raises(DataError, match="no segment is closed"):
        table_of_log(replace(log, receiver=np.zeros(6, int), end=np.zeros(6, int)))


def test_segments_that_were_not_drawn_can_be_left_out():
    records = [
        step("a", 0, propensity=1.0),
        step("a", 0, propensity=0.5),
        step("a", 1, propensity=math.nan),
        step("b", 1, propensity=1.0, name="only"),
        step("a", 0, propensity=0.5, to="desk"),
        step("a", 1, propensity=1.0),
    ]
    found, _ = segments(records)
    table = table_of(found, 0.9, seen={"only": Seen(frozenset({1}))})
    kept = drawn(table)
    assert kept.propensity.tolist() == [0.5, 1.0, 0.5, 1.0]
    assert kept.start.tolist() == [0, 1, 2]
    assert kept.workflow.tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="record with exploration"):
        drawn(table_of(segments([step(propensity=1.0), step(action=1, propensity=1.0)])[0], 0.9))


@pytest.mark.parametrize(
    ("records", "gamma", "message"),
    [
        ([], 0.9, "no closed segment"),
        ([step(to="desk")], 0.9, "1 are still open"),
        ([step()], 1.5, "gamma is 1.5"),
        ([step(name="x"), step(name="x")], 0.9, "handoff 'x' comes twice"),
        ([replace(step(), agent="other"), step()], 0.9, "give those of one agent"),
        ([step(name="x", propensity=0.0)], 0.9, "handoff 'x': propensity is 0"),
        ([step(name="x", propensity=1.5)], 0.9, "propensity is 1.5"),
        ([step(name="x", reward=math.nan)], 0.9, "reward is nan"),
        ([step(name="x", duration=0.0)], 0.9, "duration is 0"),
        ([step(name="x", quote=math.inf)], 0.9, "quote is inf"),
    ],
)
def test_what_cannot_be_is_named(records, gamma, message):
    with pytest.raises(DataError, match=message):
        found, dropped = segments(records)
        table_of(found, gamma, dropped=dropped)


def test_an_action_that_was_ruled_out_cannot_have_been_taken():
    one = step(action=1, name="x")
    with pytest.raises(DataError, match="handoff 'x': action is 1"):
        table_of(segments([one])[0], 0.9, seen={"x": Seen(frozenset({0}))})
