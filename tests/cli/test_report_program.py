"""`batonq report RUN --program NAME` on a stored run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batonq.cli.main import main
from batonq.study.folder import Finished, Identity, open_run, save_cell
from batonq.tasks.cpu.per_task.trials import described
from batonq.tasks.cpu.suite import named

KEYS = ("p01-exact-icq", "p01-exact-mcmc", "p09-exact-icq")


def cell(name: str, who: str) -> dict[str, object]:
    """A cell whose only trial wrote the reference; none for p09."""
    task = named(name)
    options = [[line.agent, line.text] for line in task.reference]
    found = {
        "proved": True,
        "program": described(task)["reference"],
        "spent": 1234,
        "note": "",
        **({"options": options} if who == "icq" else {}),
    }
    spent = {"proved": False, "program": None, "spent": 2_000_000, "note": "budget spent"}
    return {
        "task": described(task),
        "set": "exact",
        "who": who,
        "trials": [found if name == "p01" else spent],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the suite, and beside it one of another experiment."""
    path = tmp_path_factory.mktemp("runs")
    open_run(path / "suite", Identity("cpu", {"scenario": "suite"}, KEYS))
    for key in KEYS:
        name, _, who = key.split("-")
        save_cell(path / "suite", Finished(key, json.dumps(cell(name, who)), 1.0))
    open_run(path / "other", Identity("maths", {}, ("one",)))
    return path


def call(*words: object) -> int | str | None:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code


def test_program_writers_proof_and_trace_are_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", folder / "suite", "--program", "p01", "--input", "0x28") == 0
    said = capsys.readouterr().out
    assert "icq, exact, seed number 0, after 1,234 handoffs; other programs" in said
    assert "that fit: 1" in said
    assert "Control: MOV: mov ecx, eax -> ARITH: dec ecx -> LOGIC: and eax, ecx" in said
    assert "Proof by Z3, made now: proved" in said
    assert "Run in Unicorn on x = 40 (0x28)" in said
    assert "Left in eax: 32 (0x20); wanted 32 (0x20)" in said
    line = next(line for line in said.splitlines() if "21 c8" in line)
    assert [part.strip() for part in line.strip("│ ").split("│")] == [
        "0x100004",
        "21 c8",
        "and eax, ecx",
        "LOGIC",
    ]


def test_it_is_one_json_object_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--program", "p01", "--learner", "mcmc", "--json")
    assert call("report", folder / "suite", *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["learner"], found["options"], found["others"]) == ("mcmc", [], 0)
    assert [line["writer"] for line in found["lines"]] == [None] * 3
    assert found["proof"]["verdict"] == "proved"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("suite", "--program", "p02"), "no 'p02' among the 2 of the run; near are p09, p01"),
        (("suite", "--program", "p09"), "nobody wrote one for 'p09' (budget spent)"),
        (("suite", "--program", "p01", "--set", "widened"), "there is exact"),
        (("suite", "--program", "p01", "--input", "ten"), "'ten' is no whole number"),
        (("suite", "--program", "p01", "--input", "1", "--input", "2"), "'p01' takes 1: x"),
        (("suite", "--input", "1"), "go with --program"),
        (("other", "--program", "p01"), "a run of 'maths', which has no programs"),
        (("nowhere", "--program", "p01"), "no run there"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert call("report", folder / words[0], *words[1:]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out
