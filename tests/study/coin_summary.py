"""What the coins' report says; apart, so that the workers need not import figures."""

from __future__ import annotations

import numpy as np
from coin_experiment import LEARNERS

from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.figures import Curve, curves, frontier
from batonq.study.graph import handoff_graph
from batonq.study.intervals import over_questions, over_seeds


def summarise(config, outputs):
    heads = {
        learner: np.array([o["heads"] for o in outputs if o["learner"] == learner])
        for learner in LEARNERS
    }
    rows = tuple(
        interval.row({"dataset": "coin", "lambda": 0.5}, learner, metric)
        for learner, values in heads.items()
        for metric, interval in (
            ("accuracy", over_questions(values.mean(axis=0))),
            ("calls", over_seeds(values.sum(axis=1))),
        )
    )
    share = {row.learner: row for row in rows if row.metric == "accuracy"}
    points = {
        learner: [
            (over_seeds(values.sum(axis=1) * k), over_questions(values.mean(axis=0)))
            for k in (1, 2)
        ]
        for learner, values in heads.items()
    }
    steps = np.arange(1, config["tosses"] + 1)
    running = {
        learner: Curve(steps, values.cumsum(axis=1) / steps) for learner, values in heads.items()
    }
    flow = np.array([[0.3, 0.5, 0.1, 0.6], [0.2, 0.6, 0.0, 0.4], [0.05, 0.0, 0.1, 0.2]])
    table = Table(
        "Share of heads",
        ("learner", "heads", "tosses"),
        tuple(
            (learner, over_questions(values.mean(axis=0)), config["tosses"])
            for learner, values in heads.items()
        ),
    )
    return Summary(
        headline=f"The first coin shows heads in {share['icq'].value:.1%} of <tosses>.",
        rows=rows,
        sections=(
            Section("Result", "Shares over all seeds.\n\nA second paragraph.", (table,)),
            Section(
                "Figures",
                drawings=(
                    Drawing(
                        "frontier",
                        "Heads against tosses.",
                        'The "first" coin lies above.',
                        lambda: frontier(points, "cost (cents a question)", "accuracy"),
                    ),
                    Drawing(
                        "curves",
                        "Running share.",
                        "All curves settle.",
                        lambda: curves(
                            running,
                            "tosses",
                            "share",
                            {"fair": 0.5},
                            {"change": config["tosses"] / 2},
                        ),
                    ),
                    Drawing(
                        "handoffs",
                        "Who hands to whom.",
                        "The first coin hands to the second half of the time.",
                        lambda: handoff_graph(
                            ["gpt-4o-mini", "gpt-3.5-turbo", "mixtral"], flow, [0.7, 0.2, 0.1]
                        ),
                    ),
                ),
            ),
        ),
        choices=("Bias .5 to .8.",),
        limits=("Coins are no agents & have no interface.",),
    )
