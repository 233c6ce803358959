from __future__ import annotations

import sys

import numpy as np
import pytest
from numba.typed import List

from batonq.base.compiled import borrowed, compiled


@compiled
def add_in_turns(tables, order, times):  # type: ignore[no-untyped-def]
    """Add 1 to the first number of one table after the other, through uncounted views."""
    mine = [borrowed(table) for table in tables]
    turns = borrowed(order)
    for k in range(times):
        mine[turns[k % len(turns)]][0] += 1.0
    return times


def test_writing_to_a_borrowed_array_writes_to_the_original() -> None:
    tables = [np.zeros(2), np.zeros(3)]
    add_in_turns(List(tables), np.array([0, 1, 1]), 300)
    assert [table.tolist() for table in tables] == [[100.0, 0.0], [200.0, 0.0, 0.0]]


def test_borrowing_leaves_reference_counts_as_they_were() -> None:
    order = np.array([0])
    tables = List([np.zeros(2)])
    add_in_turns(tables, order, 1)
    before = sys.getrefcount(order)
    for _ in range(100):
        add_in_turns(tables, order, 10)
    assert sys.getrefcount(order) == before
    assert tables[0][0] == pytest.approx(1001.0)


def test_uncompiled_an_array_is_borrowed_as_itself() -> None:
    array = np.arange(3)
    assert borrowed(array) is array
