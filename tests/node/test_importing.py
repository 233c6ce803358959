from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import BatonqError, DataError
from batonq.node.event import DECISION, IMPORT, Event, once
from batonq.node.logs.importing import FIELDS, import_into, read_traces
from batonq.node.store.memory import MemoryStore
from batonq.node.store.sqlite import SqliteStore

FULL = {
    "agent": "intake",
    "observation": {"kind": "bug", "tier": 2},
    "action": "search",
    "target": "search",
    "reward": -1,
    "duration": 2.5,
    "propensity": 0.75,
    "quote": 4.0,
    "workflow": "w1",
    "permitted": ["search", "code"],
    "default": "code",
    "at": 12.0,
    "handoff_id": "old-1",
}
BARE = {"agent": "intake", "observation": ["x", 1], "action": "code", "reward": 0.5}


def lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_a_full_record(tmp_path: Path) -> None:
    (one,) = read_traces(lines(tmp_path / "a.jsonl", FULL))
    assert one.y == '{"kind":"bug","tier":2}'
    assert (one.agent, one.action, one.receiver, one.end) == ("intake", "search", "search", None)
    assert (one.reward, one.duration, one.propensity, one.quote) == (-1.0, 2.5, 0.75, 4.0)
    assert (one.workflow, one.permitted, one.default, one.at) == (
        "w1",
        ("search", "code"),
        "code",
        12.0,
    )
    assert (one.handoff_id, one.source) == ("old-1", "a.jsonl:1")


def test_what_is_missing_stays_missing(tmp_path: Path) -> None:
    bare = read_traces(lines(tmp_path / "a.jsonl", BARE, {**BARE, "duration": None}))[0]
    assert bare.receiver == "code"  # an action is named after its target unless said otherwise
    assert [bare.duration, bare.propensity, bare.quote, bare.workflow, bare.at] == [None] * 5
    assert bare.handoff_id.startswith("import-")


@pytest.mark.parametrize(
    ("more", "end", "receiver"),
    [
        ({"target": "end"}, "terminal", None),
        ({"action": "end"}, "terminal", None),
        ({"end": "terminal"}, "terminal", None),
        ({"end": "truncated"}, "truncated", "code"),
        ({"target": "intake"}, None, "intake"),
    ],
)
def test_ends(more: dict[str, Any], end: str | None, receiver: str | None, tmp_path: Path) -> None:
    (one,) = read_traces(lines(tmp_path / "a.jsonl", {**BARE, **more}))
    assert (one.end, one.receiver) == (end, receiver)


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    first, second = FULL, {**BARE, "observation": {"kind": 'a, "b"', "tier": None}}
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        names = [name for name in FULL if name != "observation"]
        writer.writerow([*names, "observation.kind", "observation.tier"])
        for one in (first, second):
            cells = [one.get(name, "") for name in names]
            cells[names.index("permitted")] = json.dumps(one["permitted"]) if one is FULL else ""
            seen: Any = one["observation"]
            writer.writerow([*cells, seen["kind"], seen["tier"] or ""])
    from_csv = read_traces(path)
    from_json = read_traces(lines(tmp_path / "a.jsonl", first, second))
    apart = {"source": "", "handoff_id": ""}
    assert [replace(one, **apart) for one in from_csv] == [
        replace(one, **apart) for one in from_json
    ]
    assert [one.source for one in from_csv] == ["a.csv:2", "a.csv:3"]


def test_an_observation_in_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('agent,action,reward,observation\nintake,code,1e0,"{""kind"":""bug""}"\n')
    (one,) = read_traces(path)
    assert (one.y, one.reward) == ('{"kind":"bug"}', 1.0)


def test_text_is_hashed_and_a_key_taken_as_it_is(tmp_path: Path) -> None:
    told = {"kind": "bug", "text": "my secret words"}
    path = lines(tmp_path / "a.jsonl", {**BARE, "observation": told})
    (one,) = read_traces(path)
    assert "secret" not in one.y and "#text" in one.y
    record = {name: value for name, value in BARE.items() if name != "observation"}
    (same,) = read_traces(lines(tmp_path / "b.jsonl", {**record, "y": one.y}))
    assert same.y == one.y
    (other,) = read_traces(path, sees=lambda agent, seen: f'"{agent} {seen["kind"]}"')
    assert other.y == '"intake bug"'


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({**BARE, "rewards": 1}, "unknown field 'rewards'"),
        ({name: BARE[name] for name in ("observation", "action", "reward")}, "lacks 'agent'"),
        ({**BARE, "reward": None}, "lacks 'reward'"),
        ({**BARE, "reward": "1"}, "reward: '1'"),
        ({**BARE, "reward": True}, "reward: True"),
        ({**BARE, "duration": 0}, "duration: 0"),
        ({**BARE, "propensity": 0}, "propensity: 0"),
        ({**BARE, "propensity": 1.5}, "propensity: 1.5"),
        ({**BARE, "end": "done"}, "end: 'done'"),
        ({**BARE, "target": "end", "end": "truncated"}, "end: 'truncated'"),
        ({**BARE, "end": "terminal", "quote": 1}, "quote: a workflow that ended"),
        ({**BARE, "permitted": ["search"]}, "permitted: lacks 'code'"),
        ({**BARE, "permitted": "code"}, "permitted: is no list"),
        ({**BARE, "y": '"x"'}, "one of 'observation' and 'y'"),
        ({**{k: BARE[k] for k in ("agent", "action", "reward")}, "y": "{"}, "y: is no key"),
        ({**{k: BARE[k] for k in ("agent", "action", "reward")}, "y": "1" * 5000}, "y: is no key"),
        ({**{k: BARE[k] for k in ("agent", "action", "reward")}, "y": '{"b":1, "a":2}'}, "y: a"),
        ({**BARE, "agent": "a b"}, "agent: 'a b'"),
        ({**BARE, "workflow": 7}, "workflow: 7"),
        ({**BARE, "handoff_id": "../x"}, "handoff_id: '../x'"),
        (["intake"], "is no object"),
        ("text", "is no object"),
    ],
)
def test_refusals_name_file_line_and_field(record: Any, named: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", BARE, record)
    with pytest.raises(DataError) as caught:
        read_traces(path)
    assert str(caught.value).startswith(f"{path}: line 2: ") and named in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.jsonl", b"", "holds no records"),
        ("a.jsonl", b"{", "line 1: body: not JSON"),
        ("a.jsonl", b'{"reward": NaN}', "NaN is not JSON"),
        ("a.jsonl", b'{"reward": 1, "reward": 2}', "stands twice"),
        ("a.jsonl", b"\xff\xfe", "not UTF-8"),
        ("a.jsonl", b'"' + b"x" * (1 << 20) + b'"', "bytes, at most"),
        ("a.csv", b"", "holds no records"),
        ("a.csv", b"agent,agent\n", "'agent' stands twice"),
        ("a.csv", b"agent,action\nx\n", "line 2: 1 cells"),
        ("a.csv", b'agent,action\n"x,y\n', "line"),
        ("a.csv", b"agent,action,reward\nx,y,many\n", "line 2: reward: 'many'"),
        ("a.csv", b"agent,\xff\n", "line 1"),
        ("a.csv", b"agent,observation,observation.a\nx,1,2\n", "not both"),
    ],
)
def test_damaged_files(name: str, content: bytes, named: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)) as caught:
        read_traces(path)
    assert named in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_traces(tmp_path / "none.jsonl")


def test_importing_again_adds_nothing_and_a_longer_file_adds_the_rest(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "node.db")
    path = lines(tmp_path / "a.jsonl", FULL, BARE, BARE)  # equal lines are two handoffs
    first = import_into(store, read_traces(path), now=100.0)
    assert (first.added, first.repeated, first.agents) == (3, 0, {"intake": 3})
    again = import_into(store, read_traces(path), now=200.0)
    assert (again.added, again.repeated) == (0, 3)
    longer = lines(path, FULL, BARE, BARE, {**BARE, "agent": "code"})
    assert import_into(store, read_traces(longer), now=300.0).added == 1
    events = list(store.events())
    assert [one.kind for one in events] == [IMPORT] * 4
    assert events[0].body == {
        "observation": '{"kind":"bug","tier":2}',
        "action": "search",
        "propensity": 0.75,
        "reward": -1.0,
        "duration": 2.5,
        "receiver": "search",
        "quote": 4.0,
        "end": None,
        "workflow": "w1",
        "permitted": ["search", "code"],
        "default": "code",
        "at": 12.0,
        "source": "a.jsonl:1",
    }
    store.close()


def test_many_records_and_those_of_this_node(tmp_path: Path) -> None:
    store = MemoryStore()
    store.append(
        Event(DECISION, "intake", "mine", once(DECISION, "mine"), 1.0, {"y": "1"}), opens=True
    )
    records = [{**BARE, "handoff_id": f"h{k}"} for k in range(2_500)]
    traces = read_traces(lines(tmp_path / "a.jsonl", *records, {**BARE, "handoff_id": "mine"}))
    told = import_into(store, traces, now=2.0)
    assert (told.added, told.own) == (2_500, 1)
    assert "1 are this node's own" in str(told)
    assert store.count_open() == 1


def test_says_what_cannot_be_estimated(tmp_path: Path) -> None:
    def said(*records: dict[str, Any]) -> str:
        return str(
            import_into(MemoryStore(), read_traces(lines(tmp_path / "a.jsonl", *records)), 1)
        )

    bare = said(BARE)
    assert "no propensity was logged" in bare and "without a duration" in bare
    assert "without `workflow`" in bare and "can: the value of another policy" not in bare
    full = said(FULL)
    assert "can: the value of another policy, from the 1 handoffs" in full
    assert "cannot" not in full
    assert "every propensity is 1" in said({**FULL, "propensity": 1})
    assert "1 of 2 without a propensity" in said(FULL, BARE)
    whole = said({**BARE, "workflow": "w"}, {**BARE, "workflow": "w", "end": "terminal"})
    assert "returns of whole workflows" in whole
    assert str(import_into(MemoryStore(), [], 1.0)) == "imported 0 handoffs"


values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=4), st.just("end")
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), values, max_size=9))
def test_any_record_is_taken_or_refused_with_its_line(record: dict[str, Any]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = lines(Path(folder) / "a.jsonl", record)
        try:
            (one,) = read_traces(path)
        except BatonqError as error:
            assert f"{path}: line 1: " in str(error)
        else:
            json.dumps(one.body(), allow_nan=False)
            assert import_into(MemoryStore(), [one], 1.0).added == 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(["a.csv", "a.jsonl"]))
def test_any_bytes_are_refused_as_data(content: bytes, name: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with pytest.raises(DataError):
            read_traces(path)
