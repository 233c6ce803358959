"""One cell of the static scenario: learn on the other folds, play the held-out one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.tasks.maths import options, table, terms
from batonq.tasks.maths.board import Board, load_board
from batonq.tasks.maths.interfaces import INTERFACES
from batonq.tasks.maths.learners import (
    FEASIBLE,
    FEATURES,
    ICQ,
    JOINT,
    MONTE_CARLO,
    NO_SCALAR,
    Penalties,
    Policy,
    Student,
    learn,
    prepare,
    taught_by,
)
from batonq.tasks.maths.live.recorded import recorded_board
from batonq.tasks.maths.peers import PEERS
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.peers.votes import Last
from batonq.tasks.maths.pools import columns, pool_named
from batonq.tasks.maths.records import SINGLE, Key, pack_all
from batonq.tasks.maths.replay import Replay, compile_replay
from batonq.tasks.maths.rollout import flow, play, random_moves
from batonq.tasks.maths.tuning import tuned

PENALTIES: Final = Penalties()
FINITE: Final = "answers"  # the interface of tables: who agrees with whom


@lru_cache(maxsize=2)
def read_board(dataset: str, data: str | None, parse: str, seed: int) -> Board:
    """The board, kept by the process for its next cells."""
    return load_board(dataset, data=None if data is None else Path(data), parse=parse, seed=seed)


@lru_cache(maxsize=2)
def read_recorded(dataset: str, data: str | None, folder: str | None) -> Board:
    """The board of recorded answers of local models, kept likewise."""
    places = (None if path is None else Path(path) for path in (data, folder))
    return recorded_board(dataset, *places)


def pool_board(config: Mapping[str, Json]) -> tuple[Board, Replay]:
    """The calls of a cell's pool, as the peers and as the learners take them.

    Peers are not made for checks: they have the calls that solve.
    """
    pool = pool_named(config["dataset"], config["pool"])
    if pool.local:
        board = read_recorded(config["dataset"], config["data"], config["recorded"])
    else:
        board = read_board(config["dataset"], config["data"], config["parse"], config["seed"])
    chosen = board.only(columns(board, pool))
    return chosen.only(chosen.solvers), compile_replay(board, pool)


def run_fold(config: Mapping[str, Json]) -> Json:
    """Learn on all folds but one and play that one, with every learner and peer."""
    board, replay = pool_board(config)
    parts = options.folds(replay.n_questions, config["folds"], config["seed"])
    test = parts.pop(config["fold"])
    train = np.sort(np.concatenate(parts))
    main, prices = config["interface"], config["lambda"]
    local = pool_named(config["dataset"], config["pool"]).local
    penalties = PENALTIES
    if local:
        penalties = tuned(replay, main, train, config["reported"], config["seed"])
    students = _students(replay, main, dialled(config), train, penalties)
    outcomes: dict[Key, Outcome] = {}
    trained: list[Json] = []
    for (name, interface), student in students.items():
        for price in config["reported"] if name == "feasible" else prices:
            policy = learn(student, price)
            outcomes[Key(name, interface, price)] = play(replay, policy.move, test)
            trained.append(_in_sample(replay, name, interface, price, policy, train))
    outcomes |= _peers(board, train, test, prices)
    trained += _rules_in_sample(board, train, prices)
    outcomes |= _random(replay, test, main, config)
    if local:
        outcomes |= singles(board, test)
    graph = flow(replay, learn(students["icq", main], config["reported"][0]).move, test)
    return {
        "pool": config["pool"],
        "parse": config["parse"],
        "unit": board.unit,
        "fold": config["fold"],
        "questions": test.tolist(),
        "subjects": [board.subjects[question] for question in test],
        "agents": list(replay.agents),
        "calls": list(replay.calls),
        "outcomes": pack_all(outcomes),
        "trained": trained,
        "tables": _tables(replay, train, test, config),
        "terms": _terms(replay, train, config, penalties),
        "flow": graph.tolist(),
    }


def _tables(
    replay: Replay,
    train: Int[np.ndarray, " row"],
    test: Int[np.ndarray, " row"],
    config: Mapping[str, Json],
) -> Json:
    if not config["tables"]:
        return []
    return table.train_tables(replay, finite(config["interface"]), train, test, config)


def _terms(
    replay: Replay,
    train: Int[np.ndarray, " row"],
    config: Mapping[str, Json],
    penalties: Penalties,
) -> Json:
    """The terms of the bound, for the first reading of the answers, as the tables."""
    if not config["tables"]:
        return []
    return terms.fold_terms(replay, config, train, dialled(config), penalties)


def dialled(config: Mapping[str, Json]) -> list[str]:
    """The interfaces that IC-Q learns behind, the main one first."""
    main = config["interface"]
    return list(dict.fromkeys((main, FINITE) if config["quick"] else (main, *INTERFACES)))


def finite(interface: str) -> str:
    """The interface of the tables: the board's texts make too many cells."""
    return FINITE if interface == "board" else interface


def _students(
    replay: Replay,
    main: str,
    shown: list[str],
    train: Int[np.ndarray, " row"],
    penalties: Penalties,
) -> dict[tuple[str, str], Student]:
    """Every learner by name and interface, with its features prepared.

    The centralised learners stand under the interface "board": one sees everything, the other
    what IC-Q's agents see behind the main interface, or behind `answers` if that is the board.
    """
    students = {("icq", name): prepare(replay, name, ICQ, train, penalties) for name in shown} | {
        ("feasible", name): prepare(replay, name, FEASIBLE, train, penalties) for name in shown
    }
    pooled = prepare(replay, finite(main), FEATURES, train, penalties)
    students["centralised_features", "board"] = pooled
    students["centralised_joint", "board"] = prepare(replay, main, JOINT, train, penalties)
    students["no_scalar", main] = taught_by(students["icq", main], NO_SCALAR)
    students["monte_carlo", main] = taught_by(students["icq", main], MONTE_CARLO)
    return students


def _in_sample(
    replay: Replay,
    learner: str,
    interface: str,
    price: float,
    policy: Policy,
    train: Int[np.ndarray, " row"],
) -> Json:
    """What a policy gets and spends on the questions it learnt from, and its own estimate."""
    outcome = play(replay, policy.move, train)
    return {
        "learner": learner,
        "interface": interface,
        "price": price,
        "utility": float(outcome.utility(price).mean()),
        "cost": float(outcome.cost.mean()),
        "value": float(policy.value[0, train].mean()),
    }


def _peers(
    board: Board, train: Int[np.ndarray, " row"], test: Int[np.ndarray, " row"], prices: list[float]
) -> dict[Key, Outcome]:
    """Every peer at every price; the agreement rule also chosen for accuracy alone (price 0)."""
    outcomes = {}
    for name, fit in PEERS.items():
        chooser = fit(board, train)
        for price in (*prices, 0.0) if name == "agreement" else prices:
            outcomes[Key(name, "board", price)] = chooser(price).play(board, test)
    return outcomes


def _rules_in_sample(
    board: Board, train: Int[np.ndarray, " row"], prices: list[float]
) -> list[Json]:
    """What the agreement rule spends on the questions it was chosen on, at every price and 0."""
    chooser = PEERS["agreement"](board, train)
    return [
        {
            "learner": "agreement",
            "interface": "board",
            "price": price,
            "cost": float(chooser(price).play(board, train).cost.mean()),
        }
        for price in (0.0, *prices)
    ]


def _random(
    replay: Replay, test: Int[np.ndarray, " row"], interface: str, config: Mapping[str, Json]
) -> dict[Key, Outcome]:
    """One random policy; it does not depend on the price."""
    moves = random_moves(replay, generator(config["seed"], 1, config["fold"]))
    outcome = play(replay, moves, test)
    return {Key("random", interface, price): outcome for price in config["lambda"]}


def singles(board: Board, test: Int[np.ndarray, " row"]) -> dict[Key, Outcome]:
    """What always asking one call comes to, of each call, whatever the price."""
    return {
        Key(SINGLE, f"{model}/{prompt}", 0.0): Last((call,)).play(board, test)
        for call, (model, prompt) in enumerate(zip(board.models, board.prompts, strict=True))
    }
