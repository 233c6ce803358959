from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import models, small_model

from batonq.base.errors import DataError, ModelError
from batonq.base.files import save_arrays
from batonq.smdp import durations
from batonq.smdp.model import ARRAYS, SCHEMA, VERSION, FiniteICSMDP, check_cells, from_entries


def two_agents(**changes: Any) -> FiniteICSMDP:
    """State 0 (agent a) goes to 1 or 2 (agent b); 1 to 0 or an end; 2 ends; action 1 only in 0."""
    given: dict[str, Any] = {
        "agents": ("a", "b"),
        "holder": np.array([0, 1, 1]),
        "reward": np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]),
        "mask": np.array([[True, True], [True, False], [True, False]]),
        "state": np.array([1, 0, 0, 0]),
        "action": np.array([0, 0, 1, 0]),
        "successor": np.array([0, 1, 2, 2]),
        "probability": np.array([0.5, 0.25, 1.0, 0.75]),
        "durations": durations.fixed(np.array([1, 2, 3, 4])),
        "gamma": 0.5,
    }
    return from_entries(**(given | changes))


def test_entries_are_sorted_into_rows() -> None:
    model = two_agents()
    assert model.indptr.tolist() == [0, 2, 3, 4, 4, 4, 4]
    assert model.successor.tolist() == [1, 2, 2, 0]
    assert model.durations.parameter.tolist() == [2, 4, 3, 1]
    assert (model.n_agents, model.n_states, model.n_actions, model.n_cells) == (2, 3, 2, 3)


def test_masses_and_contraction_by_hand() -> None:
    model = two_agents()
    np.testing.assert_allclose(model.row_mass, [[1, 1], [0.5, 0], [0, 0]])
    np.testing.assert_allclose(model.discounted, [0.25 / 4, 0.75 / 16, 1 / 8, 0.25])
    assert model.contraction == 0.25


def test_cells_know_agent_and_mask() -> None:
    seen = two_agents().seen_as(np.array([1, 0, 0]))
    assert seen.n_cells == 2
    assert seen.cell_agent.tolist() == [1, 0]
    assert seen.cell_mask.tolist() == [[True, False], [True, True]]


def test_defaults_are_lossless_free_and_uniform() -> None:
    one = from_entries(
        agents=["only"],
        holder=np.zeros(2, np.int64),
        reward=np.zeros((2, 1)),
        state=np.array([0]),
        action=np.array([0]),
        successor=np.array([1]),
        probability=np.array([1.0]),
        durations=durations.fixed(np.array([1])),
        gamma=1.0,
    )
    assert one.cell.tolist() == [0, 1]
    assert one.mask.all()
    assert one.initial.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agents": ()}, "agents: .* one or more different names"),
        ({"agents": ("a", "a")}, "agents: .*'a', 'a'.* different names"),
        ({"gamma": 0.0}, r"gamma: 0 is not in \(0, 1\]"),
        ({"gamma": 1.5}, r"gamma: 1.5 is not in \(0, 1\]"),
        ({"gamma": float("nan")}, "gamma: nan"),
        ({"holder": np.array([0, 1, 2])}, "holder: state 2 is held by agent 2 of 2"),
        ({"holder": np.array([0, -1, 1])}, "holder: state 1 is held by agent -1"),
        ({"reward": np.array([[0, 0], [np.nan, 0], [0, 0]])}, r"\(state 1, action 0\) is nan"),
        ({"mask": np.array([[1, 1], [1, 0], [1, 0]])}, "mask: int64 .* wanted bool"),
        ({"mask": np.array([[True, True], [True, False]])}, r"mask: bool of shape \(2, 2\)"),
        ({"mask": np.ones(3, np.bool_)}, "mask: has 1 dimensions"),
        (
            {"mask": np.array([[True, True], [True, False], [False, False]])},
            "mask: state 2 permits no action",
        ),
        ({"successor": np.array([0, 1, 3, 2])}, r"entry 2, \(state 0, action 1\): .* 0..2: 3"),
        ({"successor": np.array([-1, 1, 2, 2])}, r"entry 3, \(state 1, action 0\): .*: -1"),
        ({"probability": np.array([-0.5, 0.25, 1, 0.75])}, r"entry 3, .*outside \[0, 1\]: -0.5"),
        ({"probability": np.array([np.nan, 0.25, 1, 0.75])}, r"entry 3, .*outside \[0, 1\]: nan"),
        (
            {"probability": np.array([0.5, 0.5, 1, 0.75])},
            r"kernel row \(state 0, action 0\) sums to 1.25 > 1; .* termination",
        ),
        (
            {"mask": np.array([[True, False], [True, False], [True, False]])},
            r"entry 2, \(state 0, action 1\): belongs to an action that is not permitted",
        ),
        ({"state": np.array([1, 0, 0, 3])}, r"entry 3: state 3 is not in 0\.\.2"),
        ({"action": np.array([0, -1, 1, 0])}, r"entry 1: action -1 is not in 0\.\.1"),
        ({"successor": np.array([0, 1, 2])}, "4 states, 4 actions, 3 successors and 4 prob"),
        ({"durations": durations.fixed(np.array([1, 2, 3]))}, "3 laws .* for 4 kernel entries"),
        ({"durations": durations.fixed(np.array([1, 2, 3, 0]))}, "entry 3 .* no whole number"),
        ({"initial": np.array([0.5, 0.4, 0.0])}, "initial: sums to 0.9"),
        ({"initial": np.array([1.5, -0.5, 0.0])}, "initial: state 1 has probability -0.5"),
        ({"initial": np.array([1.0, 0.0])}, r"initial: float64 of shape \(2,\)"),
        ({"cell": np.array([0, 1])}, r"cell: int64 of shape \(2,\), wanted integer .* \(3,\)"),
        ({"cell": np.array([0, 0, 1])}, "cell 0 holds states 0 and 1 with different holders"),
        ({"cell": np.array([0, 2, 2])}, "no state has cell 1"),
        ({"cell": np.array([0, 7, 1])}, "state 1 has cell 7 of at most 3"),
        ({"cell": np.array([0, -1, 1])}, "state 1 has cell -1 < 0"),
        (
            {"holder": np.array([1, 1, 1]), "cell": np.array([0, 1, 0])},
            "cell 0 holds states 0 and 2 with different sets of permitted actions",
        ),
    ],
)
def test_refusals_name_the_entry(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        two_agents(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"holder": np.array([], dtype=np.int64)}, "at least one state"),
        ({"holder": np.array([0.0, 1.0, 1.0])}, "holder: float64 .* wanted integer"),
        ({"indptr": np.array([0, 2, 3, 4, 4, 4, 5])}, "indptr: must rise from 0 .* entries, 4"),
        ({"indptr": np.array([0, 3, 2, 4, 4, 4, 4])}, "indptr: must rise"),
        ({"indptr": np.array([0, 4])}, r"indptr: int64 of shape \(2,\), wanted integer"),
        ({"successor": np.array([[1, 2, 2, 0]])}, r"successor: int64 of shape \(1, 4\)"),
        ({"probability": np.array([1, 1, 1, 1])}, "probability: int64 .* wanted floating"),
    ],
)
def test_arrays_must_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(two_agents(), **change)


def test_cells_are_checked_on_their_own() -> None:
    with pytest.raises(ModelError, match="2 cells for 3 states"):
        check_cells(np.arange(2), np.zeros(3, np.int64), np.ones((3, 1), np.bool_))


def test_an_interface_that_mixes_holders_is_refused() -> None:
    with pytest.raises(ModelError, match="cell 1 holds states 0 and 2 with different holders"):
        two_agents().seen_as(np.array([1, 0, 1]))


def same_bits(one: Any, other: Any) -> bool:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                return False
        elif field.name == "durations":
            if not same_bits(a, b):
                return False
        elif a != b:
            return False
    return True


@given(models())
def test_loads_what_it_saved_to_the_bit(tmp_path_factory: Any, model: FiniteICSMDP) -> None:
    path = tmp_path_factory.mktemp("models") / "model.npz"
    model.save(path)
    assert same_bits(model, FiniteICSMDP.load(path))


@given(models())
def test_rows_and_entries_agree(model: FiniteICSMDP) -> None:
    assert model.row_mass.max() <= 1 + 1e-9
    assert (model.sum_rows(model.discounted) <= model.gamma * model.row_mass + 1e-12).all()
    assert 0 <= model.contraction <= model.gamma
    assert model.sum_rows(np.ones(len(model.successor))).sum() == len(model.successor)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    small_model(3).save(path)
    return path


def test_every_truncation_is_a_data_error(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in range(0, len(whole), 97):
        saved.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"model\.npz: .* restore it"):
            FiniteICSMDP.load(saved)


@given(st.integers(0, 2**32 - 1))
def test_damage_is_a_data_error_or_harmless(tmp_path_factory: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("damage") / "model.npz"
    model = small_model(3)
    model.save(path)
    content = bytearray(path.read_bytes())
    start = int(rng.integers(len(content)))
    length = int(rng.integers(1, 20))
    content[start : start + length] = rng.bytes(length)
    path.write_bytes(content)
    try:
        loaded = FiniteICSMDP.load(path)
    except DataError as error:
        assert "model.npz" in str(error)
    else:
        assert same_bits(model, loaded)


def test_missing_file_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        FiniteICSMDP.load(tmp_path / "none.npz")
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(DataError, match=r"array\.npy: not a batonq file"):
        FiniteICSMDP.load(tmp_path / "array.npy")
    with pytest.raises(DataError, match="not a batonq file"):
        FiniteICSMDP.load(tmp_path)


def test_what_the_file_holds_is_checked(tmp_path: Path, saved: Path) -> None:
    model = small_model(3)
    arrays = {name: getattr(model, name) for name in ARRAYS}
    arrays |= {
        field.name: getattr(model.durations, field.name) for field in fields(model.durations)
    }
    header = {"agents": list(model.agents), "gamma": model.gamma}
    path = tmp_path / "other.npz"
    for change, message in [
        ({"agents": None}, "lacks the agents' names or gamma"),
        ({"gamma": "0.9"}, "lacks the agents' names or gamma"),
    ]:
        save_arrays(path, SCHEMA, VERSION, header | change, arrays)
        with pytest.raises(DataError, match=message):
            FiniteICSMDP.load(path)
    save_arrays(path, SCHEMA, VERSION + 1, header, arrays)
    with pytest.raises(DataError, match="schema version 2, this batonq reads 1"):
        FiniteICSMDP.load(path)
    save_arrays(path, "run", VERSION, header, arrays)
    with pytest.raises(DataError, match="holds 'run', wanted 'finite-ic-smdp'"):
        FiniteICSMDP.load(path)
    save_arrays(path, SCHEMA, VERSION, header, {"holder": arrays["holder"]})
    with pytest.raises(DataError, match="lacks the array 'cell'"):
        FiniteICSMDP.load(path)
    save_arrays(path, SCHEMA, VERSION, header, arrays | {"probability": arrays["probability"] * 9})
    with pytest.raises(ModelError, match=r"probability outside|sums to"):
        FiniteICSMDP.load(path)


def test_fields_are_kept_and_checked(tmp_path: Path) -> None:
    shown = {f"f{k}": np.arange(3) % (k + 1) for k in range(12)}
    model = replace(two_agents(), fields=shown)
    model.save(tmp_path / "m.npz")
    back = FiniteICSMDP.load(tmp_path / "m.npz")
    assert list(back.fields) == list(shown)
    for name, labels in shown.items():
        assert np.array_equal(back.fields[name], labels)
    with pytest.raises(ModelError, match="one a state"):
        replace(model, fields={"tier": np.arange(2)})
