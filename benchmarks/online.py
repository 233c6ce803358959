"""Learning on-line from 100 questions, played with recorded answers, beside the best single call.

The agents of `batonq run maths --live` play what two small models have answered (`recorded/` of the
maths task), so that one run is a split of the same 200 questions into 100 to learn from and 100 to
be judged on, and many runs cost nothing. Two references know what nobody on-line knows or does: the
best call in hindsight, and "sure", which tries each solver on a quarter of the learning half and
asks the best one ever after. Standard errors are over splits of the same questions: others would
differ by more.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from batonq.base.seeds import generator
from batonq.icq.tabular import TabularQ
from batonq.tasks.maths.live.answers import Answer, Model, read_chunks
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.environment import Heard, LiveEnvironment
from batonq.tasks.maths.live.leaning import LeaningQ
from batonq.tasks.maths.live.online import play
from batonq.tasks.maths.live.questions import Question, load_questions
from batonq.tasks.maths.live.reading import read
from batonq.tasks.maths.live.recorded import recorded_files, work
from batonq.tasks.maths.live.session import Told, same, values
from batonq.tasks.maths.live.settings import PRICE, Team, strongest, team

DATA: Final = Path(os.environ.get("BATONQ_DATA", "../shared/data"))
DATASETS: Final = ("generated", "gsm8k", "mmlu")  # of 200 recorded questions
WAYS: Final = ("on-line", "on-line, plain table", "best in hindsight", "sure")
PROMPTS: Final = ("program", "step")
SPLITS: Final = 150
FIRST: Final = 1_000  # seed of the first split
WORKERS: Final = 2

Result = tuple[float, float, float]  # accuracy, cost and utility of the judged half


@cache
def recorded(dataset: str) -> tuple[list[Question], Team, dict[tuple[Any, str], Heard]]:
    """Questions that every call answered, who takes part, and what each call came to."""
    models, answers = read_chunks(recorded_files(dataset))
    order = sorted(models.values(), key=lambda one: one.parameters or 0.0)
    members = team(order, PROMPTS, strongest(order, range(len(order))))
    every = {one.key: one for one in load_questions(dataset, DATA)}
    answers = [one for one in answers if one.question in every]
    heard = _heard(answers, every, models)
    names = [call.name for call in members.calls]
    whole = [one for key, one in every.items() if all((key, name) in heard for name in names)]
    return whole, members, heard


def _heard(
    answers: Sequence[Answer],
    questions: dict[tuple[str, int], Question],
    models: dict[str, Model],
) -> dict[tuple[Any, str], Heard]:
    heard = {}
    for answer, attempt in zip(answers, read(answers, questions, values), strict=True):
        cost = work(models[answer.call.model], answer)
        right = same(attempt.value, questions[answer.question].gold)
        heard[answer.key] = Heard(Told(answer, cost, cached=True), attempt, right)
    return heard


def played(dataset: str, split: int) -> tuple[Result, ...]:
    """One split, each of `WAYS`."""
    questions, members, heard = recorded(dataset)
    order = generator(FIRST + split).permutation(len(questions))
    some = [questions[k] for k in order]

    def hear(call: Call, question: Question, checked: Heard | None) -> Heard:
        del checked
        return heard[question.key, call.name]

    learnt = []
    for table in (LeaningQ, TabularQ):
        at = LiveEnvironment(some, members, hear, PRICE, "answers")
        episodes = play(at, FIRST + split, table=table).episodes[len(some) // 2 :]
        right = np.array([one.right for one in episodes], float)
        cost = np.array(
            [sum(at.heard[one.place][call].told.cost for call in one.asked) for one in episodes]
        )
        learnt.append(_result(right, cost))
    solvers = [call.name for k, call in enumerate(members.calls) if members.needs[k] < 0]
    outcomes = np.array(
        [
            [(heard[q.key, name].right, heard[q.key, name].told.cost) for name in solvers]
            for q in some
        ],
        float,
    )
    return *learnt, *_singles(outcomes)


def _singles(outcomes: np.ndarray) -> tuple[Result, Result]:
    """The best call in hindsight over all questions, and the one tried and found best."""
    half = len(outcomes) // 2
    worth = outcomes[..., 0] - PRICE * outcomes[..., 1]
    best = int(worth.mean(0).argmax())
    tried = [worth[k : half : len(worth[0])][:, k].mean() for k in range(len(worth[0]))]
    sure = int(np.argmax(tried))
    return _result(*outcomes[half:, best].T), _result(*outcomes[half:, sure].T)


def _result(right: np.ndarray, cost: np.ndarray) -> Result:
    return right.mean(), cost.mean(), (right - PRICE * cost).mean()


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rows: for each data set and way, means over splits, standard errors, and the worst tenth."""
    splits = 4 if quick else SPLITS
    rows = []
    for dataset in DATASETS:
        with ProcessPoolExecutor(WORKERS) as pool:
            found = np.array(list(pool.map(played, [dataset] * splits, range(splits))))
        for k, way in enumerate(WAYS):
            mine = found[:, k]
            error = mine.std(0, ddof=1) / np.sqrt(splits)
            rows.append(
                {
                    "data": dataset,
                    "way": way,
                    "splits": splits,
                    "accuracy": float(mine[:, 0].mean()),
                    "accuracy_se": float(error[0]),
                    "cost": float(mine[:, 1].mean()),
                    "utility": float(mine[:, 2].mean()),
                    "utility_se": float(error[2]),
                    "accuracy_worst_tenth": float(np.quantile(mine[:, 0], 0.1)),
                }
            )
    return rows
