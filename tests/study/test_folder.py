import coin_experiment
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.study.folder import (
    Finished,
    Identity,
    canonical,
    cell_path,
    first_difference,
    load_cell,
    open_run,
    read_identity,
    save_cell,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip


@given(json_values, json_values)
def test_a_difference_is_found_exactly_where_there_is_one(there, asked):
    assert (first_difference(there, asked) is None) == (canonical(there) == canonical(asked))


def test_the_difference_names_the_place():
    there = {"b": {"x": 1, "y": 2}, "c": 3}
    assert first_difference(there, {"b": {"x": 1, "y": 5}, "c": 4}) == ("b.y", 2, 5)
    assert first_difference(there, {"b": {"x": 1}, "c": 3}) == ("b.y", 2, None)


def test_identity_does_not_depend_on_the_order_of_keys_nor_on_the_cells_paths(tmp_path):
    one = coin_experiment.experiment(log=None)
    two = coin_experiment.experiment(log=tmp_path)
    assert Identity.of(one) == Identity.of(two)
    assert (
        Identity("a", {"x": 1, "y": 2}, ()).digest() == Identity("a", {"y": 2, "x": 1}, ()).digest()
    )
    assert Identity("a", {"x": 1}, ()).digest() != Identity("a", {"x": 2}, ()).digest()


def test_identity_is_stored_whole(tmp_path):
    identity = Identity.of(coin_experiment.experiment())
    open_run(tmp_path / "run", identity)
    assert read_identity(tmp_path / "run") == identity


@given(json_values)
def test_a_cell_is_read_as_it_was_stored(tmp_path_factory, output):
    folder = tmp_path_factory.mktemp("run")
    (folder / "cells").mkdir()
    cell = Finished("a", canonical(output), 1.5)
    save_cell(folder, cell)
    assert load_cell(folder, "a") == cell


def test_any_shortened_or_altered_cell_file_is_noticed(tmp_path):
    (tmp_path / "cells").mkdir()
    save_cell(tmp_path, Finished("a", '{"heads":[0,1]}', 1.0))
    path = cell_path(tmp_path, "a")
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # without the last newline nothing is lost
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged"):
            load_cell(tmp_path, "a")
    path.write_bytes(whole.replace(b"[0,1]", b"[1,1]"))
    with pytest.raises(DataError, match="checksum"):
        load_cell(tmp_path, "a")
    path.write_bytes(whole.replace(b'"cell":"a"', b'"cell":"b"'))
    with pytest.raises(DataError, match="it is of cell b"):
        load_cell(tmp_path, "a")
    path.write_bytes(b"\xff\xfe\n\n")
    with pytest.raises(DataError, match="damaged"):
        load_cell(tmp_path, "a")
    path.unlink()
    assert load_cell(tmp_path, "a") is None
