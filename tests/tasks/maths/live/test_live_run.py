"""A live run from its options to its report: whole, resumed, killed, stopped; and its parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from live_models import STRONG, WEAK, asked, models, prices, sources
from openai_server import hold

from batonq.base.errors import DataError, ModelError, SpentError
from batonq.icq.log import Log
from batonq.study.experiment import Table
from batonq.study.rows import Interval
from batonq.study.run import rebuild
from batonq.tasks.maths.live import listed
from batonq.tasks.maths.live.answers import Model
from batonq.tasks.maths.live.experiment import Sources, opened, run_live
from batonq.tasks.maths.live.settings import LiveOptions, strongest, team
from batonq.tasks.maths.live.shares import share
from batonq.tasks.maths.live.summary import summarise

OPTIONS = LiveOptions(questions=12, prompts=("direct", "step"), price=1.0)


def test_a_run_is_whole_and_the_same_command_makes_no_call_again(tmp_path: Path) -> None:
    with models() as server:
        found = run_live(OPTIONS, sources(server, tmp_path), tmp_path / "run")
        assert found.stopped is None
        made = len(server.bodies)
        assert max(asked(server).values()) == 1
        elsewhere = run_live(OPTIONS, sources(server, tmp_path), tmp_path / "again")
        again = run_live(OPTIONS, sources(server, tmp_path), tmp_path / "run")
        assert len(server.bodies) == made
    assert elsewhere.result.rows == again.result.rows == found.result.rows
    assert rebuild(tmp_path / "run", lambda _: summarise).rows == found.result.rows
    said = found.result.summary.headline
    assert f"{made} calls, 0 of them from the cache" in said
    assert f"{made} calls, {made} of them from the cache" in elsewhere.result.summary.headline
    cell = json.loads((tmp_path / "run/cells/online.jsonl").read_text().splitlines()[1])
    assert [one["place"] for one in cell["episodes"]] == list(range(12))
    assert sum(len(one["calls"]) for one in cell["episodes"]) == made
    logs = [Log.open(path) for path in sorted((tmp_path / "run/logs").iterdir())]
    assert {log.agent for log in logs} <= {WEAK, STRONG, "checker", "closer"}
    rows = {
        (row.setting["part"], row.setting["call"], row.metric): row for row in found.result.rows
    }
    right = sum(one["right"] for one in cell["episodes"])
    assert rows["all", "all", "accuracy"].value == right / 12
    assert rows["all", "all", "calls"].value == made / 12
    assert (tmp_path / "run/report.html").read_text().count("not run") == 3


def test_its_report_is_made_again_by_the_command(tmp_path: Path) -> None:
    with models() as server:
        run_live(OPTIONS, sources(server, tmp_path), tmp_path / "run")
    before = (tmp_path / "run" / "report.html").read_text()
    command = [sys.executable, "-m", "batonq", "report", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is right on" in done.stdout
    assert (tmp_path / "run" / "report.html").read_text() == before


def test_another_seed_or_folder_is_told_apart(tmp_path: Path) -> None:
    with models() as server:
        run_live(OPTIONS, sources(server, tmp_path), tmp_path / "run")
        other = LiveOptions(questions=12, prompts=("direct", "step"), price=1.0, seed=1)
        with pytest.raises(DataError, match="holds results of another configuration: seed is 0"):
            run_live(other, sources(server, tmp_path), tmp_path / "run")


def test_the_budget_stops_it_and_more_of_it_goes_on(tmp_path: Path) -> None:
    with models() as server:
        little = sources(server, tmp_path, max_cost=1.65)
        found = run_live(OPTIONS, little, tmp_path / "run")
        assert isinstance(found.stopped, SpentError)
        assert "PARTIAL" in found.result.summary.headline
        done = [row for row in found.result.rows if row.setting["part"] == "all"]
        assert 0 < done[0].n < 12
        made = len(server.bodies)
        whole = run_live(OPTIONS, sources(server, tmp_path), tmp_path / "run")
        assert whole.stopped is None
        assert "PARTIAL" not in whole.result.summary.headline
        assert len(server.bodies) > made
        assert max(asked(server).values()) == 1


def test_killed_in_the_middle_it_loses_no_answer_and_asks_nothing_twice(tmp_path: Path) -> None:
    """The server holds the sixth request while the process is killed; that one was not answered."""
    with models(lambda body, nth: hold() if len(server.bodies) == 6 else None) as server:
        words = ["run", "maths", "--live", "--dataset", "generated", "--questions", "12"]
        words += ["--prompt", "direct", "--prompt", "step", "--lambda", "1", "--base-url"]
        words += [server.url, "--prices", str(prices(tmp_path)), "--cache"]
        words += [str(tmp_path / "calls.db"), "--out", str(tmp_path / "run")]
        words += ["--models", WEAK, STRONG]
        code = "from batonq.cli.main import main; main()"
        with subprocess.Popen([sys.executable, "-c", code, *words], cwd=tmp_path) as process:
            assert server.held.acquire(timeout=300)
            process.kill()
        server.release.set()
        held = server.bodies[5]
        found = run_live(OPTIONS, sources(server, tmp_path), tmp_path / "run")
        assert found.stopped is None
        assert "5 of them from the cache" in found.result.summary.headline
        twice = {key: count for key, count in asked(server).items() if count > 1}
        assert twice == {(held["model"], held["messages"][-1]["content"]): 2}


def test_models_of_the_dated_price_file_need_no_other(tmp_path: Path) -> None:
    with models() as server:
        served = sources(server, tmp_path, models=("gpt-4o-mini-2024-07-18",), prices=())
        with opened(served) as ready:
            (price,) = ready.prices.values()
    assert (price.unit, price.input, price.date) == ("US cents", 15, "2024-07-18")


def test_it_says_how_to_give_models() -> None:
    with pytest.raises(DataError, match=r"--live needs models: --models PATH\.gguf .* --key-env"):
        Sources(())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataset": "aime"}, "dataset: 'aime' is unknown; choose one of generated, gsm8k"),
        ({"prompts": ("guess",)}, "prompt: 'guess' is unknown; choose one of direct, step"),
        ({"prompts": ("step", "step")}, "prompt: give at least one, and each once"),
        ({"interface": "board"}, "interface: 'board' shows texts"),
        ({"interface": "mind"}, "interface: 'mind' is unknown"),
        ({"price": float("nan")}, "lambda: nan is not a price >= 0"),
        ({"questions": 1}, "questions: 1 is too few; give at least 2"),
        ({"max_tokens": 0}, "max-tokens: 0 is too few; give at least 1"),
        ({"seed": -1}, "seed: -1 is too small; give at least 0"),
    ],
)
def test_settings_that_cannot_be_right_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        LiveOptions(**given)  # type: ignore[arg-type]


def test_subjects_are_picked_or_those_there_are_told() -> None:
    picked = LiveOptions(subjects=("2 steps",)).load()
    assert {one.subject for one in picked} == {"2 steps"}
    with pytest.raises(DataError, match=r"0 questions are of geometry; there are: .*2 steps"):
        LiveOptions(subjects=("geometry",)).load()


def test_the_team_is_laid_out_as_its_moves_are_numbered() -> None:
    both = [Model("small", "gguf-1", 0.5), Model("large", "gguf-2", 2.0)]
    members = team(both, ("step", "program"), "large")
    assert members.agents == ("small", "large", "checker")
    assert [call.name for call in members.calls] == [
        "small/step",
        "small/program",
        "large/step",
        "large/program",
        "large/check of small/program",
        "large/check of large/program",
    ]
    assert members.owner == (0, 0, 1, 1, 2, 2)
    assert members.needs == (-1, -1, -1, -1, 1, 3)
    with pytest.raises(DataError, match="a model is called 'checker'"):
        team([Model("checker", "m", None)], ("step",), "checker")


def test_the_largest_checks_else_the_dearest_or_who_is_wanted() -> None:
    sized = [Model("a", "1", 2.0), Model("b", "2", 0.5)]
    unsized = [Model("a", "1", None), Model("b", "2", 0.5)]
    assert strongest(sized, [1, 9]) == "a"
    assert strongest(unsized, [1, 9]) == "b"
    assert strongest(sized, [1, 9], "b") == "b"
    with pytest.raises(DataError, match="no model is called 'c'"):
        strongest(sized, [1, 9], "c")


def test_shares_have_wilsons_interval() -> None:
    # Wilson at z = 1.95996: 0 of 10 gives z^2 / (10 + z^2); 5 of 10 is symmetric about a half.
    none, half = share([False] * 10), share([True, False] * 5)
    assert none is not None
    assert half is not None
    assert (none.value, none.low, none.n) == (0.0, 0.0, 10)
    assert none.high == pytest.approx(3.84146 / 13.84146, abs=1e-5)
    assert half.low == pytest.approx(0.2366, abs=1e-4)
    assert half.high == pytest.approx(1 - half.low)  # type: ignore[operator]
    assert share([]) is None


HOSTED = {"label": "one", "parameters": None}
WHOLE = {
    "dataset": "gsm8k",
    "split": "test",
    "questions": 1319,
    "subjects": [],
    "models": [HOSTED],
}


def cells(table: Table) -> dict[object, tuple[object, ...]]:
    assert table.columns == ("data set", "models", "questions", "listed", *table.columns[4:])
    return {line[0] if k < 3 else k: line[1:] for k, line in enumerate(table.lines)}


def test_our_cell_is_filled_by_a_whole_run_of_served_models_only() -> None:
    ours, judged = Interval(0.9, 0.88, 0.92, 1319), Interval(0.95, 0.9, 0.97, 660)
    told = cells(listed.table(WHOLE, False, ours, judged))
    assert told["GSM8K"][:3] == ("one", 1319, 96.0)
    assert [cell.value for cell in told["GSM8K"][3:]] == [90.0, 95.0]  # type: ignore[attr-defined]
    assert told["MathQA"] == ("not run", None, 83.6, None, None)
    assert told["MMLU"] == ("not run", None, 88.1, None, None)
    assert len(told) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"questions": 200},
        {"questions": 1318},  # a file that was cut short
        {"split": "train"},
        {"subjects": ["grade-school"]},
        {"models": [{"label": "small", "parameters": 0.5}]},
        {"dataset": "generated"},
        {"stopped": True},
    ],
)
def test_any_other_run_has_a_line_of_its_own(change: dict[str, object]) -> None:
    stopped = bool(change.get("stopped"))
    told = cells(listed.table({**WHOLE, **change}, stopped, Interval(0.5, 0.4, 0.6, 200), None))
    assert {told[name][0] for name in ("GSM8K", "MathQA", "MMLU")} == {"not run"}
    own = told[3]
    assert own[1:3] == (200, None)
    assert own[3].value == 50.0  # type: ignore[attr-defined]
    assert str(own[0]).startswith("local: ") == ("models" in change)
