from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.smdp.families import leak, random_model
from batonq.smdp.interface import coarsen, compose, from_labels, is_refinement, lossless, refine

labels = st.lists(st.integers(-3, 3), min_size=1, max_size=12).map(np.array)


def pairs() -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            *[st.lists(st.integers(0, 3), min_size=n, max_size=n).map(np.array)] * 2
        )
    )


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def test_labels_by_hand() -> None:
    holder = np.array([1, 0, 0, 1])
    field = np.array([5, 9, 2, 5])
    assert from_labels(holder).tolist() == [1, 0, 0, 1]
    assert from_labels(holder, field).tolist() == [2, 1, 0, 2]


@given(pairs())
def test_cells_are_the_distinct_tuples_in_order(
    given_labels: tuple[np.ndarray, np.ndarray],
) -> None:
    holder, field = given_labels
    tuples = list(zip(holder.tolist(), field.tolist(), strict=True))
    numbers = {label: k for k, label in enumerate(sorted(set(tuples)))}
    assert from_labels(holder, field).tolist() == [numbers[label] for label in tuples]


@given(pairs())
def test_refining_reveals_and_coarsening_hides(given_labels: tuple[np.ndarray, np.ndarray]) -> None:
    cell, field = from_labels(given_labels[0]), given_labels[1]
    finer = refine(cell, field)
    assert is_refinement(finer, cell)
    assert is_refinement(finer, from_labels(field))
    assert same_partition(refine(finer, field), finer)
    assert is_refinement(finer, np.zeros_like(cell))
    assert is_refinement(np.arange(len(cell)), finer)
    assert is_refinement(cell, finer) == same_partition(cell, finer)


@given(labels, st.data())
def test_merged_cells_are_hidden_from_each_other(values: np.ndarray, data: st.DataObject) -> None:
    cell = from_labels(values)
    group = data.draw(st.sets(st.integers(0, int(cell.max()))))
    merged = coarsen(cell, [group])
    assert is_refinement(cell, merged)
    assert sorted(set(merged)) == list(range(int(merged.max()) + 1))
    for s, t in np.ndindex(len(cell), len(cell)):
        together = cell[s] == cell[t] or {int(cell[s]), int(cell[t])} <= group
        assert (merged[s] == merged[t]) == together
    assert same_partition(refine(merged, cell), cell)


@given(pairs())
def test_composing_twice_is_composing_the_composition(
    given_labels: tuple[np.ndarray, np.ndarray],
) -> None:
    cell = from_labels(*given_labels)
    outer = np.arange(int(cell.max()) + 1) // 2
    last = np.arange(int(outer.max()) + 1) // 2
    assert compose(compose(cell, outer), last).tolist() == compose(cell, outer[...] // 2).tolist()
    assert is_refinement(cell, compose(cell, outer))


def test_lossless_shows_every_state() -> None:
    model = random_model(np.random.default_rng(0), n_cells=10, n_hidden=3)
    everything = lossless(model)
    assert is_refinement(everything, model.cell)
    assert not is_refinement(model.cell, everything)
    assert model.seen_as(everything).n_cells == 30
    assert same_partition(refine(model.cell, np.arange(30) % 3), everything)


def test_a_private_state_is_one_more_field() -> None:
    model = leak().model
    bit = np.array([0, 1, 0, 1])
    told = refine(model.cell, bit)
    assert same_partition(told, leak(shown=True).model.cell)


def test_an_interface_that_mixes_holders_is_refused_with_cell_and_states() -> None:
    model = leak().model
    with pytest.raises(ModelError, match="cell 0 holds states 0 and 2 with different holders"):
        model.seen_as(coarsen(model.cell, [[0, 2]]))


def test_refusals() -> None:
    cell = np.array([0, 1, 2])
    with pytest.raises(ModelError, match=r"field 1 has shape \(2,\), wanted \(3,\)"):
        from_labels(cell, cell, np.array([1, 2]))
    with pytest.raises(ModelError, match="a map of 2 cells after one with 3"):
        compose(cell, np.array([0, 0]))
    with pytest.raises(ModelError, match="no cell 3 to merge; cells are "):
        coarsen(cell, [[0, 3]])
    with pytest.raises(ModelError, match="cell 1 is in two groups"):
        coarsen(cell, [[0, 1], [1, 2]])
