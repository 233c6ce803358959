from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from small_models import models

from batonq.base.errors import ModelError
from batonq.smdp.families import keeps_control, leak
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import as_table, policy_of_cells, uniform

MASK = np.array([[True, True], [False, True]])


@given(models())
def test_uniform_is_one_chance_for_all_permitted(model: FiniteICSMDP) -> None:
    table = uniform(model)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    assert ((table > 0) == model.cell_mask).all()
    for row in table:
        assert len(set(row[row > 0])) == 1


def test_actions_become_probabilities() -> None:
    assert as_table(MASK, np.array([0, 1]), "state").tolist() == [[1, 0], [0, 1]]
    table = np.array([[0.25, 0.75], [0.0, 1.0]])
    assert as_table(MASK, table, "state").tolist() == table.tolist()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.array([0, 0]), "policy: state 1 gives its permitted actions"),
        (np.array([5, 1]), "policy: state 0 gives its permitted actions"),
        (np.array([[0.5, 0.4], [0, 1]]), "policy: state 0 gives"),
        (np.array([[-0.5, 1.5], [0, 1]]), "policy: state 0 gives"),
        (np.array([[0.5, 0.5], [0.5, 0.5]]), "policy: state 1 gives"),
        (np.array([[0.5, 0.5], [np.nan, 1]]), "policy: state 1 gives"),
        (np.array([1.0, 1.0]), r"policy: shape \(2,\), wanted \(2, 2\)"),
        (np.ones((3, 2)) / 2, r"policy: shape \(3, 2\), wanted \(2, 2\)"),
    ],
)
def test_refusals_name_the_row(policy: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        as_table(MASK, policy, "state")


def test_lifting_repeats_the_row_of_the_cell() -> None:
    model = leak().model
    assert policy_of_cells(model, np.array([7, 8, 9])).tolist() == [7, 8, 9, 9]
    with pytest.raises(ModelError, match="policy: 4 rows for 3 cells"):
        policy_of_cells(model, np.zeros((4, 2)))
    closed = keeps_control().model
    assert policy_of_cells(closed, uniform(closed)).shape == closed.mask.shape
