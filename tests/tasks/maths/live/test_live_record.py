"""Recording: every call once, in files that anyone reads, whatever ended it and goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from live_models import (
    BILLIONS,
    STRONG,
    WEAK,
    asked,
    cost,
    generated,
    knows,
    models,
    session,
    sources,
)
from openai_server import Answer, Body, status

from batonq.base.errors import DataError, SpentError
from batonq.tasks.maths.live.answers import Model, chunks, read_chunks
from batonq.tasks.maths.live.experiment import Sources, record_live, run_live
from batonq.tasks.maths.live.record import record, recorded_calls, standing
from batonq.tasks.maths.live.settings import LiveOptions

MODELS = [Model(name, name, size) for name, size in BILLIONS.items()]


def test_calls_are_solvers_then_checks_of_the_checkers_own_program_first() -> None:
    assert [call.name for call in recorded_calls(MODELS, STRONG)] == [
        f"{WEAK}/program",
        f"{WEAK}/step",
        f"{STRONG}/program",
        f"{STRONG}/step",
        f"{STRONG}/check of {STRONG}/program",
        f"{STRONG}/check of {WEAK}/program",
    ]


def test_what_is_recorded_is_read_back_and_never_asked_again(tmp_path: Path) -> None:
    done: list[int] = []
    with models() as server, session(server, tmp_path / "one") as made:
        rows = record(
            "generated", generated(3), MODELS, made, tmp_path / "a", lambda: done.append(1)
        )
        assert len(done) == 3
        assert len(server.bodies) == 18
        assert max(asked(server).values()) == 1
        found, answers = read_chunks(chunks(tmp_path / "a", "generated"))
        assert (list(found.values()), answers) == (MODELS, rows)
        assert [row.question for row in rows] == [one.key for one in generated(3) for _ in range(6)]
    # Without the cache, the files alone serve; two more questions are 12 more calls.
    with models() as server, session(server, tmp_path / "two") as made:
        longer = record("generated", generated(5), MODELS, made, tmp_path / "a")
        assert len(server.bodies) == 12
        assert longer[:18] == rows
        # Fewer questions than are there leave the file as it is.
        before = chunks(tmp_path / "a", "generated")[0].read_bytes()
        assert record("generated", generated(2), MODELS, made, tmp_path / "a") == rows[:12]
        assert chunks(tmp_path / "a", "generated")[0].read_bytes() == before


def test_how_each_call_did_is_counted(tmp_path: Path) -> None:
    with models() as server, session(server, tmp_path) as made:
        rows = record("generated", generated(4), MODELS, made, tmp_path / "a")
    table = standing(rows, generated(4), lambda row: cost(row.call.model), "units")
    by_call = {line[0]: dict(zip(table.columns, line, strict=True)) for line in table.lines}
    weak = by_call[f"{WEAK}/program"]
    known = sum(knows(WEAK, one) for one in generated(4))
    assert weak["right"].value == known / 4  # type: ignore[union-attr]
    assert weak["abstained"].value == 0  # type: ignore[union-attr]
    assert weak["cost"].value == pytest.approx(0.005)  # type: ignore[union-attr]
    checked = by_call[f"{STRONG}/check of {WEAK}/program"]
    assert checked["abstained"].value == 1 - known / 4  # type: ignore[union-attr]
    assert checked["right when answered"].value == 1  # type: ignore[union-attr]


def test_whatever_ends_it_whole_questions_are_written(tmp_path: Path) -> None:
    options = LiveOptions(questions=6)
    with models() as server:
        stopped = record_live(options, sources(server, tmp_path, max_cost=1.8), tmp_path / "a")
        assert isinstance(stopped.stopped, SpentError)
        rows = read_chunks(chunks(tmp_path / "a", "generated"))[1]
        count = len({row.question for row in rows})
        assert 0 < count < 6
        assert len(rows) == 6 * count
        assert {line[1].n for line in stopped.table.lines} == {count}  # type: ignore[union-attr]
        whole = record_live(options, sources(server, tmp_path), tmp_path / "a")
        assert whole.stopped is None
        assert len(server.bodies) == 36
        assert max(asked(server).values()) == 1
        assert [one["right"]["n"] for one in whole.document()["calls"]] == [6] * 6


def test_what_was_refused_is_asked_again_and_what_checked_it(tmp_path: Path) -> None:
    bad, credit = generated(2)[1], [False]

    def script(body: Body, nth: int) -> Answer | None:
        refuse = bad.text in str(body["messages"]) and body["model"] == WEAK and not credit[0]
        return status(400, "no more of that") if refuse else None

    with models(script) as server:
        made = sources(server, tmp_path)
        options = LiveOptions(questions=2)
        first = record_live(options, made, tmp_path / "a")
        assert first.stopped is None
        assert {one["call"]: one["refused"] for one in first.document()["calls"]} == {
            call.name: int(call.model == WEAK) for call in recorded_calls(MODELS, STRONG)
        }
        credit[0] = True
        again = record_live(options, made, tmp_path / "a")
        assert {one["refused"] for one in again.document()["calls"]} == {0}
        rows = read_chunks(chunks(tmp_path / "a", "generated"))[1]
        assert len(rows) == len({row.key for row in rows}) == 12
        # The weak model's program and steps, and the check of a program that is there now.
        assert len(server.bodies) == 12 + 3


def test_refusals_far_apart_stop_neither_a_recording_nor_what_goes_on_from_it(
    tmp_path: Path,
) -> None:
    """Three questions that a model never takes are asked again, and answered in between."""
    bad = [generated(12)[k].text for k in (2, 5, 8)]

    def script(body: Body, nth: int) -> Answer | None:
        refuse = any(text in str(body["messages"]) for text in bad)
        return status(400, "content policy") if refuse else None

    with models(script) as server:
        made = sources(server, tmp_path)
        assert record_live(LiveOptions(questions=10), made, tmp_path / "a").stopped is None
        longer = LiveOptions(questions=12)
        assert record_live(longer, made, tmp_path / "a").stopped is None
        # Likewise where the files are gone, and answers come from the cache.
        assert record_live(longer, made, tmp_path / "b").stopped is None
        answered = [body for body in server.bodies if not any(t in str(body) for t in bad)]
        assert len(answered) == 9 * 6


def test_answers_of_another_host_are_not_mixed_in(tmp_path: Path) -> None:
    with models() as server, models() as other:
        options = LiveOptions(questions=2)
        record_live(options, sources(server, tmp_path), tmp_path / "a")
        with pytest.raises(DataError, match=f"holds answers of '{WEAK}' .{WEAK} at {server.url}"):
            record_live(options, sources(other, tmp_path), tmp_path / "a")
        run_live(options, sources(server, tmp_path), tmp_path / "run")
        with pytest.raises(DataError, match="models is"):
            run_live(options, sources(other, tmp_path), tmp_path / "run")
        assert other.bodies == []


def test_a_longest_reply_that_is_given_goes_to_every_prompt_and_is_not_mixed(
    tmp_path: Path,
) -> None:
    long, short = LiveOptions(questions=2, max_tokens=4000), LiveOptions(questions=2)
    with models() as server:
        made = sources(server, tmp_path)
        assert record_live(long, made, tmp_path / "a").stopped is None
        assert {body["max_tokens"] for body in server.bodies} == {4000}
        with pytest.raises(DataError, match="recorded with --max-tokens 4000; do so again"):
            record_live(short, made, tmp_path / "a")
        assert len(server.bodies) == 12
        record_live(long, made, tmp_path / "a")
        assert len(server.bodies) == 12
        record_live(short, made, tmp_path / "b")
        with pytest.raises(DataError, match="recorded without --max-tokens; do so again"):
            record_live(long, made, tmp_path / "b")


def test_only_the_test_is_recorded(tmp_path: Path) -> None:
    with models() as server, pytest.raises(DataError, match="split: 'train' cannot be recorded"):
        record_live(LiveOptions(split="train"), sources(server, tmp_path), tmp_path / "a")


def test_answers_of_other_models_are_not_mixed_in(tmp_path: Path) -> None:
    with models() as server, session(server, tmp_path) as made:
        record("generated", generated(1), MODELS, made, tmp_path / "a")
        other = [Model(WEAK, "another", 0.5), MODELS[1]]
        with pytest.raises(DataError, match=f"holds answers of '{WEAK}'"):
            record("generated", generated(1), other, made, tmp_path / "a")
        assert len(server.bodies) == 6


def test_a_real_model_is_asked_and_its_answers_are_the_caches(tmp_path: Path) -> None:
    given = os.environ.get("BATONQ_TEST_GGUF")
    if not given:
        pytest.skip("BATONQ_TEST_GGUF names no file")
    pytest.importorskip("xllamacpp")
    options = LiveOptions(questions=4, prompts=("direct", "program"))
    from_file = Sources((given,), cache=tmp_path / "calls.db")
    found = run_live(options, from_file, tmp_path / "run")
    assert found.stopped is None
    assert "0 of them from the cache" in found.result.summary.headline
    again = run_live(options, from_file, tmp_path / "again")
    assert again.result.rows == found.result.rows
    assert " 0 of them" not in again.result.summary.headline
