"""The parts of the static report: tables and drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.graph import handoff_graph
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval, Row
from batonq.study.tables import pivot
from batonq.tasks.maths.frontier import corners
from batonq.tasks.maths.interfaces import INTERFACES
from batonq.tasks.maths.lines import PEERS, Line, Pooled, recovered
from batonq.tasks.maths.statistics import means

Place = tuple[str, str]
Config = Mapping[str, Json]
YES_NO = {True: "yes", False: "NO"}
METRICS = ("accuracy", "cost", "calls", "utility")
LOTS = "line between single models"


def results(config: Config, rows: Sequence[Row], unit: str) -> Section:
    """The main table: the reported prices."""
    kept = [
        row for row in rows if row.setting["lambda"] in config["reported"] and row.metric in METRICS
    ]
    text = (
        "Each question was played by learners and peers that had learnt or been chosen on the "
        f"other {config['folds'] - 1} of {config['folds']} folds. Cost is in {unit}; utility is "
        "accuracy minus lambda times cost. Intervals are 95 %, by paired bootstrap over "
        "questions. Oracle is the cheapest right call in hindsight: nobody can reach it."
    )
    return Section("Held-out questions", text, (pivot(kept),))


def to_reach(lines: Mapping[Place, Sequence[Line]]) -> Section:
    """What had to be reached, and whether it was."""
    tables = tuple(
        Table(
            f"Pool {pool}, answers {parse}",
            ("compared", "figure", "wanted", "reached", "details"),
            tuple(
                (line.what, line.figure, line.wanted, YES_NO[line.reached], line.detail)
                for line in some
            ),
        )
        for (pool, parse), some in lines.items()
    )
    return Section("Lines to reach", "", tables)


def frontiers(config: Config, rows: Sequence[Row], pooled: Mapping[Place, Pooled]) -> Section:
    """Accuracy against cost, one drawing per pool and parse, and the line between single models."""
    drawings = tuple(
        Drawing(
            f"frontier-{pool}-{parse}",
            f"Accuracy and cost on held-out questions, pool {pool}, answers {parse}: one point per "
            f"lambda in {', '.join(f'{price:g}' for price in config['lambda'])}."
            + (f" {LOTS.capitalize()}: what drawing lots gives." if one.singles else ""),
            f"Accuracy against cost in {one.unit} of IC-Q and its peers, pool {pool}.",
            partial(_frontier, [r for r in rows if _place(r) == (pool, parse)], one),
        )
        for (pool, parse), one in pooled.items()
    )
    return Section("Accuracy and cost", "", (), drawings)


def _place(row: Row) -> Place:
    return str(row.setting["pool"]), str(row.setting["parse"])


def _frontier(rows: Sequence[Row], pooled: Pooled) -> Figure:
    points: dict[str, dict[float, dict[str, Interval]]] = {}
    for row in rows:
        if row.value is not None and row.learner in ("icq", "centralised", *PEERS):
            price = float(row.setting["lambda"] or 0)
            of_price = points.setdefault(row.learner, {}).setdefault(price, {})
            of_price[row.metric] = Interval(row.value, row.low, row.high)
    groups = {
        learner: [(found["cost"], found["accuracy"]) for found in by_price.values()]
        for learner, by_price in points.items()
    }
    singles = list(pooled.singles.values())
    if singles:
        groups[LOTS] = [
            (means(one.cost).interval(), means(one.right).interval()) for one in corners(singles)
        ]
    label = f"cost per question ({pooled.unit})"
    # Lots give a straight line, and it looks like one on even scales only.
    return figures.frontier(groups, label, "accuracy", log_cost=not singles)


def interfaces(config: Config, pooled: Mapping[Place, Pooled]) -> Section:
    """The exact solution per interface, what IC-Q learnt, and what it recovers."""
    lines = tuple(
        (
            pool,
            parse,
            price,
            name,
            one.in_sample("feasible", price, name),
            one.utility("feasible", price, name).interval(),
            one.in_sample("icq", price, name),
            one.utility("icq", price, name).interval(),
            recovered(one, price, name)[0],
        )
        for (pool, parse), one in pooled.items()
        for price in config["reported"]
        for name in INTERFACES
        if ("icq", name, price) in one.outcomes
    )
    columns = (
        "pool",
        "parse",
        "lambda",
        "interface",
        "exact, in-sample",
        "exact, held out",
        "IC-Q, in-sample",
        "IC-Q, held out",
        "recovered",
    )
    text = (
        "Utility. Exact is the solution over the cells of each interface, on the empirical model "
        "of the training folds. It is the best that the agents can do on those questions where "
        "the holder sees what earlier holders saw (board, answers); behind counts and own it is "
        "what a table of IC-Q converges to. The board's cells are so many that their in-sample "
        "figure is partly memory, as the held-out column shows. Recovered is the share of the "
        "better centralised learner's gain over the best single model; behind the board IC-Q "
        "sees all that the joint learner sees, and learns the same."
    )
    return Section("What the interface is worth", text, (Table("Utility", columns, lines),))


def training(config: Config, pooled: Mapping[Place, Pooled]) -> Section:
    """Learning curves of the tables over seeds, and what the last tables are worth."""
    lines = tuple(
        (
            pool,
            parse,
            found["price"],
            cell["fold"],
            found["learner"],
            over_seeds(np.array(found["trained"])),
            over_seeds(np.array(found["held_out"])),
        )
        for (pool, parse), one in pooled.items()
        for cell in one.cells
        for found in cell["tables"]
    )
    drawings = tuple(
        Drawing(
            f"training-{pool}-{parse}",
            f"Value of the greedy policy on the training questions of the first fold, pool "
            f"{pool}, answers {parse}, lambda {config['reported'][0]:g}: mean and 95 % band "
            f"over {config['seeds']} seeds.",
            f"Learning curves of tabular learners, pool {pool}.",
            partial(_curves, one, config["reported"][0]),
        )
        for (pool, parse), one in pooled.items()
        if one.cells[0]["tables"]
    )
    columns = ("pool", "parse", "lambda", "fold", "learner", "training", "held out")
    text = (
        "Tables over the cells, trained on-line by the compiled kernel with half its moves drawn "
        "at random. Utility of the greedy policy at the end."
    )
    return Section("Learning", text, (Table("Tables", columns, lines),), drawings)


def _curves(pooled: Pooled, price: float) -> Figure:
    first = next(cell for cell in pooled.cells if cell["fold"] == 0)
    learners = {
        found["learner"]: figures.Curve(np.array(found["points"]), np.array(found["curve"]))
        for found in first["tables"]
        if found["price"] == price and len(found["points"]) > 1
    }
    seen = first["tables"][0]["interface"]
    optimum = next(
        one["value"]
        for one in first["trained"]
        if (one["learner"], one["interface"], one["price"]) == ("feasible", seen, price)
    )
    return figures.curves(
        learners, "handoffs", "value (discounted)", levels={"exact optimum": optimum}
    )


def handoffs(config: Config, pooled: Mapping[Place, Pooled]) -> Section:
    """Who hands to whom under the learnt policies."""
    drawings = tuple(
        Drawing(
            f"handoffs-{pool}-{parse}",
            f"Handoffs per question of the learnt policy on held-out questions, pool {pool}, "
            f"answers {parse}, lambda {config['reported'][0]:g}. A loop is a model at work.",
            f"Handoff graph of IC-Q, pool {pool}.",
            partial(handoff_graph, one.cells[0]["agents"], _mean_flow(one)),
        )
        for (pool, parse), one in pooled.items()
    )
    return Section("Handoffs", "", (), drawings)


def _mean_flow(pooled: Pooled) -> Float[np.ndarray, "agent receiver"]:
    weights = np.array([len(cell["questions"]) for cell in pooled.cells], float)
    flows = np.array([cell["flow"] for cell in pooled.cells])
    return np.asarray(np.average(flows, axis=0, weights=weights))


def subjects(config: Config, pooled: Mapping[Place, Pooled]) -> Section:
    """Accuracy per subject: IC-Q, the best single model, the rule, and any right answer."""
    lines = []
    price = config["reported"][0]
    learners = ("icq", "best_single", "agreement", "oracle")
    for (pool, parse), one in pooled.items():
        order = np.argsort([q for cell in one.cells for q in cell["questions"]])
        subject = np.array([name for cell in one.cells for name in cell["subjects"]])[order]
        for name in dict.fromkeys(subject.tolist()):
            asked = subject == name
            right = {learner: one.of(learner, price).right[asked] for learner in learners}
            gap = (means(right["icq"]) - means(right["best_single"])).interval()
            shown = tuple(means(right[learner]).interval() for learner in learners)
            lines.append((pool, parse, name, int(asked.sum()), *shown, gap))
    columns = ("pool", "parse", "subject", "questions", *learners, "IC-Q minus best single")
    return Section(
        "Subjects", f"Accuracy at lambda {price:g}.", (Table("", columns, tuple(lines)),)
    )
