"""The pool of local models from its files to its report: a recording whose best policy is known."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from answer_files import LARGE_STEP, SMALL_PROGRAM, answer, check, generated, program, record

from batonq.base.errors import DataError, ModelError
from batonq.base.files import Json
from batonq.study.experiment import Summary
from batonq.tasks.maths.experiment import experiment, summarise
from batonq.tasks.maths.live.answers import Answer
from batonq.tasks.maths.live.recorded import UNIT
from batonq.tasks.maths.options import LOCAL_PRICES, LOCAL_REPORTED, MathsOptions
from batonq.tasks.maths.pools import POOLS, usual_pools
from batonq.tasks.maths.records import gather

COUNT = 40
PRICES = (0.5, 0.75)


def recording() -> list[Answer]:
    """The small model's program is right every other time and else fails; the large one knows.

    100 tokens for the program cost .05, 400 for the large model's text .8, 91 for the check .182;
    it says yes to everything.
    """
    answers = []
    for number, question in enumerate(generated(COUNT)):
        returned = question.gold if number % 2 == 0 else "1 / 0"
        answers += [
            answer(question, SMALL_PROGRAM, program(returned)),
            answer(question, LARGE_STEP, f"#### {question.gold:g}", tokens_out=310),
            check(question, 0.9),
        ]
    return answers


def options(folder: Path) -> MathsOptions:
    return MathsOptions(
        pools=("local",), folds=2, seeds=1, prices=PRICES, recorded=folder, quick=True
    )


@cache
def run() -> tuple[dict[str, Json], list[Json], Summary]:
    """The whole run in this process: its configuration, its cells read back, and its summary."""
    with TemporaryDirectory() as folder:
        whole = experiment(options(record(Path(folder), recording())))
        assert [cell.key for cell in whole.cells] == [f"local-extracted-fold{k}" for k in (0, 1)]
        # Tables have tests of their own; without them the terms of the bound are left out too.
        cells = [whole.run_cell({**cell.config, "tables": False}) for cell in whole.cells]
    read: list[Json] = json.loads(json.dumps(cells))
    return dict(whole.config), read, summarise(whole.config, read)


def test_the_results_depend_on_the_files_of_answers(tmp_path: Path) -> None:
    config, _, _ = run()
    assert list(config["files"]) == ["generated-0000.jsonl.gz"]
    assert config["pools"] == ["local"]
    assert not {"recorded", "data"} & set(config)  # not on where they lie
    other = recording()
    other[0] = replace(other[0], seconds=9.0)
    changed = experiment(options(record(tmp_path, other))).config
    assert changed["files"] != config["files"]


def test_iq_learns_to_hand_on_where_the_program_failed() -> None:
    _, cells, _ = run()
    outcomes = gather(cells)
    assert cells[0]["agents"] == ["small", "large", "checker", "closer"]
    # An answer is worth asking for at both: .05, and .8 more where there is none.
    failed = np.arange(COUNT) % 2 == 1
    for price in PRICES:
        found = outcomes["icq", "board", price]
        assert found.right.all()
        assert (found.cost[failed] >= 0.85 - 1e-6).all()  # both were asked
        # The optimum is .45, the large model alone .8; 20 questions to learn from are few.
        assert 0.45 - 1e-6 <= found.cost.mean() < 0.5


def test_single_calls_are_kept_for_the_line_between_them() -> None:
    _, cells, _ = run()
    outcomes = gather(cells)
    small, large = (outcomes["single", name, 0.0] for name in ("small/program", "large/step"))
    assert small.right.tolist() == [True, False] * (COUNT // 2)
    assert large.right.all()
    assert np.allclose(small.cost, 0.05)
    assert np.allclose(large.cost, 0.8)
    assert ("single", "checker/check of small/program", 0.0) not in outcomes


def test_the_report_says_what_it_is_of() -> None:
    _, _, summary = run()
    assert summary.headline.startswith("Data: answers of small language models")
    assert f" {UNIT} in 1." in summary.headline
    assert "cents" not in summary.headline
    sections = {section.title: section for section in summary.sections}
    assert f"Cost is in {UNIT}" in sections["Held-out questions"].text
    (drawing,) = sections["Accuracy and cost"].drawings
    axes = drawing.draw().axes[0]
    assert UNIT in axes.get_xlabel()
    assert axes.get_xscale() == "linear"  # lots give a straight line
    assert "line between single models" in [
        text.get_text() for text in axes.figure.legends[0].texts
    ]
    told = " ".join((*summary.choices, *summary.limits))
    for said in (
        "greedy text",
        "abstention",
        "busy with other work",
        "in training",
        "at most once",
    ):
        assert said in told
    assert "price file" not in told


def test_the_line_between_single_models_is_reached() -> None:
    _, cells, summary = run()
    (table,) = next(s for s in summary.sections if s.title == "Lines to reach").tables
    (line,) = (line for line in table.lines if "drawing lots" in str(line[0]))
    # Between .05 (half of them right) and .8 (all right) lots give 2/3 of a point per unit.
    costs = [gather(cells)["icq", "board", price].cost.mean() for price in PRICES]
    leads = [1 - (0.5 + (cost - 0.05) * 2 / 3) for cost in costs]
    assert line[1].value == pytest.approx(max(leads), abs=1e-6)
    assert line[1].low > 0
    assert line[3] == "yes"


def test_pools_of_local_models_are_run_by_themselves() -> None:
    for dataset in POOLS:
        assert ("local" in usual_pools(dataset)) == (dataset == "mathqa")
    local = MathsOptions(dataset="gsm8k", pools=("local",))
    assert (local.parse_names, local.main_interface) == (("extracted",), "board")
    assert (local.grid, local.reported) == (LOCAL_PRICES, LOCAL_REPORTED)
    assert MathsOptions(dataset="gsm8k", pools=("local",), quick=True).grid == LOCAL_REPORTED
    assert set(LOCAL_REPORTED) <= set(LOCAL_PRICES)
    assert MathsOptions(dataset="mathqa").pool_names == ("local",)
    assert not MathsOptions(dataset="gsm8k").local


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"pools": ("all", "local")}, "pool: .* run it by itself"),
        ({"scenario": "drift"}, "scenario: .* choose static"),
        ({"parses": ("source",)}, "parse: .* choose extracted"),
    ],
)
def test_what_the_pool_cannot_do_is_named(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        MathsOptions(**{"dataset": "gsm8k", "pools": ("local",), **setting})


def test_without_a_recording_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="record some with batonq run maths --dataset generated"):
        experiment(options(tmp_path))
