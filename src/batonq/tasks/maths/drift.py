"""Change: agents learn on-line while a model is degraded or its price rises, and is then restored.

Each workflow draws a training question of the first fold. Tables behind the main interface, with
a constant step and a constant temperature, so that learning never stops, and optimistic first
values, so that what was not tried is tried. Only what a workflow did and got is learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Int

from batonq.base.files import Json
from batonq.icq import clocks
from batonq.icq.behaviour import boltzmann
from batonq.icq.record import NOT_ENDED
from batonq.icq.run import Run
from batonq.icq.train import train as train_icq
from batonq.tasks.maths.board import Board
from batonq.tasks.maths.fold import PENALTIES, read_board
from batonq.tasks.maths.interfaces import cells
from batonq.tasks.maths.learners import FEASIBLE, learn, prepare
from batonq.tasks.maths.options import folds
from batonq.tasks.maths.peers import PEERS
from batonq.tasks.maths.peers.agreement import Rule
from batonq.tasks.maths.peers.bandit import online, start
from batonq.tasks.maths.pools import Pool, columns, pool_named
from batonq.tasks.maths.replay import Replay, compile_replay, finite_model
from batonq.tasks.maths.rollout import play

PARTS: Final = ("before", "changed", "restored")
HANDOFFS: Final = 1_500_000  # per part
QUICK_HANDOFFS: Final = 400_000
POINTS: Final = 15  # per part
STEP: Final = 0.05
TEMPERATURE: Final = 0.02
OPTIMISTIC: Final = 1.0  # no workflow is worth more
FORGET: Final = (0.99, 0.999, 1.0)  # of the bandit
MARGIN: Final = 0.01  # recovered: within one point of the optimum
DEARER: Final = 10.0


CHANGES: Final = ("degraded", "dearer")
PRICE: Final = 0.03  # lambda, if none is given


def run_drift(config: Mapping[str, Json]) -> Json:
    """One seed of one change in one pool."""
    board = read_board(config["dataset"], config["data"], config["parse"], config["seed"])
    pool = pool_named(config["dataset"], config["pool"])
    return through_change(board, board.only(columns(board, pool)), config)


def through_change(board: Board, pool_board: Board, config: Mapping[str, Json]) -> Json:
    """Learn through a change of a pool's board; `board` has the calls it can be replaced by."""
    parts = folds(len(board.questions), config["folds"], config["seed"])
    train = np.sort(np.concatenate(parts[1:]))
    price = config["price"]
    rule = PEERS["agreement"](pool_board, train)(price)
    assert isinstance(rule, Rule)  # noqa: S101 - what that peer is
    model = _relied_on(pool_board, rule, train, config["change"])
    changed = after_change(board, pool_board, model, config["change"])
    both = stacked(pool_board, changed)
    replay = compile_replay(both, Pool("both", (), ""))
    n_questions = len(pool_board.questions)
    rows = dict(zip(PARTS, (train, train + n_questions, train), strict=True))
    learnt = _learn(replay, rows, price, config)
    return {
        "pool": config["pool"],
        "change": config["change"],
        "number": config["number"],
        "price": price,
        "model": model,
        "rule": [pool_board.prompts[call] for call in rule.order],
        "parts": {
            part: {
                **learnt[part],
                **_optimum(replay, config["interface"], rows[part], price),
                "agreement": float(rule.play(both, rows[part]).utility(price).mean()),
            }
            for part in PARTS
        },
        "bandit": _bandit(both, rows, learnt, price, config),
    }


def _relied_on(pool_board: Board, rule: Rule, train: Int[np.ndarray, " row"], change: str) -> str:
    """The model a change hits: the one the rule asks first, or spends most on."""
    if change == "degraded":
        return pool_board.models[rule.order[0]]
    spent: dict[str, float] = {}
    for call, model in enumerate(pool_board.models):
        free = pool_board.cost.copy()
        free[:, call] = 0.0
        saved = (
            rule.play(pool_board, train).cost
            - rule.play(replace(pool_board, cost=free), train).cost
        )
        spent[model] = spent.get(model, 0.0) + float(saved.sum())
    return max(spent, key=lambda model: spent[model])


def after_change(board: Board, pool_board: Board, model: str, change: str) -> Board:
    """The pool's board after `model` was degraded or has become dearer.

    A degraded model gives the answers of a weaker one at its old price; see `_replacement`.
    """
    hit = [call for call, name in enumerate(pool_board.models) if name == model]
    if change == "dearer":
        cost = pool_board.cost.copy()
        cost[:, hit] *= DEARER
        return replace(pool_board, cost=cost)
    weaker = _replacement(board, pool_board, [pool_board.prompts[call] for call in hit])
    fields = ("answer", "plain", "right", "private")
    arrays: dict[str, Any] = {name: getattr(pool_board, name).copy() for name in fields}
    for call in hit:
        source = weaker.get(pool_board.prompts[call], next(iter(weaker.values())))
        for name, values in arrays.items():
            values[:, call] = getattr(board, name)[:, source]
    return replace(pool_board, **arrays)


def _replacement(board: Board, pool_board: Board, prompts: Sequence[str]) -> dict[str, int]:
    """Calls, by prompt, of the model to answer instead, the best call first.

    It is taken from outside the pool where there is one: of the models recorded under the most of
    the same prompts, the weakest at its best prompt.
    """
    calls: dict[str, dict[str, int]] = {}
    accuracy = board.right.mean(axis=0)
    for call in np.argsort(-accuracy, kind="stable"):
        calls.setdefault(board.models[call], {})[board.prompts[call]] = int(call)
    outside = {model: by for model, by in calls.items() if model not in pool_board.models}

    def suits(by_prompt: Mapping[str, int]) -> tuple[int, float]:
        best = max(float(accuracy[call]) for call in by_prompt.values())
        return sum(prompt in by_prompt for prompt in prompts), -best

    return max((outside or calls).values(), key=suits)


def stacked(first: Board, second: Board) -> Board:
    """Two boards of the same calls as one; the second's questions follow the first's."""
    arrays = ("answer", "plain", "right", "cost", "tokens", "private")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in arrays
    }
    return replace(
        first,
        questions=first.questions + second.questions,
        subjects=first.subjects + second.subjects,
        **joined,
    )


def _learn(
    replay: Replay,
    rows: Mapping[str, Int[np.ndarray, " row"]],
    price: float,
    config: Mapping[str, Json],
) -> dict[str, dict[str, Json]]:
    """Train through the parts; per part the greedy policy's curve and what was realised."""
    run: Run | None = None
    base = finite_model(replay, price, rows["before"], cells(replay, config["interface"]))
    learnt = {}
    for k, (part, these) in enumerate(rows.items()):
        initial = np.bincount(these, minlength=base.n_states) / len(these)
        run = train_icq(
            replace(base, initial=initial),
            start=run,
            handoffs=QUICK_HANDOFFS if config["quick"] else HANDOFFS,
            seed=(config["seed"] + config["number"]) * len(PARTS) + k,
            behaviour=boltzmann(TEMPERATURE),
            clock=clocks.constant(STEP),
            initial=OPTIMISTIC,
            points=POINTS,
            record=True,
            workers=1,
        )
        trace = run.traces[0]
        questions = int((trace["end"] != NOT_ENDED).sum())
        learnt[part] = {
            "points": run.points.tolist(),
            "curve": run.curve[0].tolist(),
            "icq": float(trace["reward"].sum() / questions),
            "questions": questions,
        }
    return learnt


def _optimum(
    replay: Replay, interface: str, rows: Int[np.ndarray, " row"], price: float
) -> dict[str, float]:
    """The exact optimum of the cells on these questions: discounted value and utility."""
    policy = learn(prepare(replay, interface, FEASIBLE, rows, PENALTIES), price)
    utility = play(replay, policy.move, rows).utility(price)
    return {"optimum": float(policy.value[0, rows].mean()), "feasible": float(utility.mean())}


def _bandit(
    board: Board,
    rows: Mapping[str, Int[np.ndarray, " row"]],
    learnt: Mapping[str, Mapping[str, Json]],
    price: float,
    config: Mapping[str, Json],
) -> dict[str, dict[str, float]]:
    """Utility of the bandit, per part and forgetting factor, over as many questions as IC-Q had."""
    rng = np.random.default_rng([config["seed"], config["number"]])
    streams = {part: rng.choice(rows[part], learnt[part]["questions"]) for part in rows}
    found: dict[str, dict[str, float]] = {part: {} for part in rows}
    for forget in FORGET:
        state = start(len(board.models))
        for part, stream in streams.items():
            outcome, state = online(board, stream, price, state, forget=forget)
            found[part][str(forget)] = float(outcome.utility(price).mean())
    return found
