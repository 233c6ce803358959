"""What a live run came to: accuracy, cost and duration, per agent, over time, and its terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.figures import frontier
from batonq.study.graph import handoff_graph
from batonq.study.intervals import over_questions
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.maths.live import listed
from batonq.tasks.maths.live.online import LEARNER
from batonq.tasks.maths.live.shares import share

BLOCKS: Final = 10  # of the learning curve, at most
SMALLEST: Final = 10  # questions in a block, where there are as many
Line = tuple[str | float | Interval | None, ...]
PARTS: Final = ("all", "learning", "judged")
CHOICES: Final = (
    "Questions in a fixed random order, each asked once. The first half is learnt from: with a "
    "chance that falls from 1 to 0.1 a question is explored, with any move at every decision, else "
    "everybody takes its best move; which ones are is agreed before the first, by the seed. On the "
    "second half all take their best moves, and values stand still.",
    "IC-Q with a table per agent over what its interface shows, step n^-0.7. A cell's "
    "values are shrunk toward the agent's own with the same calls asked, these toward its own at "
    "this stage, these toward its mean, that toward 0, each with the weight of six updates. "
    "Exactly one scalar crosses with a handoff between two agents. Receivers quote late, when they "
    "have been answered themselves at the end of a question (icq_late): quotes at once teach one "
    "decision a question, too little where each question is paid for. Reward: 1 for a right "
    "answer, minus lambda times the cost of calls; the right answer is told after submission only.",
    "Duration is measured: seconds of each call in ticks of 0.25 s at gamma 0.9999, so ten seconds "
    "cost 0.4 per cent. A reply from the cache counts with the seconds it took when it was made.",
    "A model is an agent, its prompts are its work; one more agent has a model check a program's "
    "attempt, once a question at most. Texts are the likeliest ones (temperature 0, where a server "
    "takes one). Programs are run by an interpreter of allowed parts in a confined process.",
    "An answer that cannot be read, a program that gives no number and a request that a model "
    "refuses, or that its server cannot answer, are abstentions, and cannot be submitted.",
)
LIMITS: Final = (
    "Half of the questions are few to learn from: most of what an agent can see, it sees once or "
    "never. A table that has learnt from recorded answers (`batonq run maths --pool local`) sees "
    "every answer to every question, this one only what it asked for.",
    "The terms of the bound are those of a table of means over the judged questions. That the "
    "values played are shrunk toward coarser views is a bias which none of them counts.",
    "No other policy is played on these questions: its calls would be paid for.",
    "Seconds depend on the machine and on what else ran on it. Any model may have seen these "
    "questions, and their answers, in training.",
)


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up a run, finished or stopped."""
    (cell,) = cells
    judged = [one for one in cell["episodes"] if _part(cell, one) == "judged"]
    return Summary(
        headline=_headline(config, cell, judged),
        rows=tuple(_rows(config, cell)),
        sections=(
            _results(config, cell),
            _curve(config, cell),
            _handoffs(cell, judged or cell["episodes"]),
            _terms(cell),
            _listed(config, cell, judged),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def figures(episodes: Sequence[Json], price: float) -> dict[str, Interval]:
    """Every metric over some questions; of accuracy with Wilson's interval, else by bootstrap."""
    right = share(one["right"] for one in episodes)
    cost = _sums(episodes, "cost")
    tokens = _sums(episodes, "tokens_in") + _sums(episodes, "tokens_out")
    utility = np.array([float(one["right"]) for one in episodes]) - price * cost
    calls = np.array([float(len(one["calls"])) for one in episodes])
    found = {"cost": cost, "calls": calls, "utility": utility, "tokens": tokens}
    told = {name: over_questions(values) for name, values in found.items()}
    return told if right is None else {"accuracy": right, **told}


def _headline(config: Mapping[str, Json], cell: Json, judged: Sequence[Json]) -> str:
    count = len(cell["episodes"])
    calls = [call for one in cell["episodes"] for call in one["calls"]]
    cached = sum(call["cached"] for call in calls)
    told = []
    if cell["stopped"]:
        told.append(
            f"PARTIAL, {count} of {config['questions']} questions: {cell['stopped']}. With that "
            "mended, the same command goes on from there."
        )
    if judged:
        found = figures(judged, config["lambda"])
        told.append(
            f"IC-Q, learnt on {count - len(judged)} questions of {config['dataset']}, is right on "
            f"{found['accuracy'].value:.1%} of the next {len(judged)} for "
            f"{found['cost'].value:.3g} {config['unit']} in {found['calls'].value:.2f} calls a "
            f"question (lambda {config['lambda']:g})."
        )
    told.append(f"{len(calls)} calls, {cached} of them from the cache.")
    return " ".join(told)


def _part(cell: Json, episode: Json) -> str:
    return "learning" if episode["place"] < cell["learning"] else "judged"


def _parts(cell: Json) -> dict[str, list[Json]]:
    """The questions of each part that has any."""
    every = cell["episodes"]
    parts = {"all": every} | {
        name: [one for one in every if _part(cell, one) == name] for name in PARTS[1:]
    }
    return {name: some for name, some in parts.items() if some}


def _rows(config: Mapping[str, Json], cell: Json) -> Iterable[Row]:
    shared: dict[str, Scalar] = {
        "dataset": config["dataset"],
        "scenario": "live",
        "interface": config["interface"],
        "lambda": config["lambda"],
    }
    for part, episodes in _parts(cell).items():
        for metric, interval in figures(episodes, config["lambda"]).items():
            yield interval.row({**shared, "part": part, "call": "all"}, LEARNER, metric)
    for name, calls in _by_call(cell).items():
        setting = {**shared, "part": "all", "call": name}
        right = share(call["right"] for call in calls if call["answered"])
        if right is not None:
            yield right.row(setting, LEARNER, "accuracy")
        yield over_questions(_column(calls, "cost")).row(setting, LEARNER, "cost")


def _results(config: Mapping[str, Json], cell: Json) -> Section:
    lines: list[Line] = []
    for part, episodes in _parts(cell).items():
        found = figures(episodes, config["lambda"])
        names = ("accuracy", "cost", "calls", "utility")
        seconds = over_questions(_sums(episodes, "seconds"))
        lines.append((part, len(episodes), *(found[name] for name in names), seconds))
    head = ("questions", "n", "accuracy", f"cost, {config['unit']}", "calls", "utility", "seconds")
    main = Table(f"IC-Q on {config['dataset']}, a question", head, tuple(lines))
    text = (
        "Accuracy with Wilson's 95 % interval, all else with a bootstrap over questions. Judged "
        "are the questions after learning, with values that stand still; all counts those as well "
        "on which the agents explored."
    )
    return Section("Results", text, (main, _breakdown(config, cell)))


def _breakdown(config: Mapping[str, Json], cell: Json) -> Table:
    """What each agent's calls took and gave; of the closer, what it submitted."""
    lines: list[Line] = []
    for name, calls in _by_call(cell).items():
        answered = [call for call in calls if call["answered"]]
        lines.append(
            (
                cell["agents"][cell["owner"][cell["calls"].index(name)]],
                name,
                len(calls),
                sum(call["cached"] for call in calls),
                int(_column(calls, "tokens_in").sum()),
                int(_column(calls, "tokens_out").sum()),
                float(_column(calls, "cost").sum()),
                round(float(_column(calls, "seconds").sum()), 1),
                share(call["right"] for call in answered),
                share(not call["answered"] for call in calls),
                sum(bool(call["refused"]) for call in calls),
            )
        )
    head = ("agent", "call", "calls", "cached", "tokens in", "tokens out", "cost", "seconds")
    caption = f"What each agent did; cost in {config['unit']}"
    return Table(caption, (*head, "right when answered", "abstained", "refused"), tuple(lines))


def _curve(config: Mapping[str, Json], cell: Json) -> Section:
    episodes = cell["episodes"]
    if not episodes:
        return Section("Learning", "No question was finished.")
    count = max(1, min(BLOCKS, len(episodes) // SMALLEST))
    blocks = [list(block) for block in np.array_split(np.arange(len(episodes)), count)]
    lines: list[Line] = []
    points, worth = [], []
    for block in blocks:
        some = [episodes[k] for k in block]
        found = figures(some, config["lambda"])
        last = Interval(float(block[-1] + 1))
        points.append((last, found["accuracy"]))
        worth.append((last, found["utility"]))
        epsilon = float(np.mean([one["epsilon"] for one in some]))
        names = ("accuracy", "utility", "calls")
        place = f"{block[0] + 1} to {block[-1] + 1}"
        lines.append((place, round(epsilon, 3), *(found[name] for name in names)))
    head = ("questions", "exploration", "accuracy", "utility", "calls")
    drawing = Drawing(
        "learning",
        f"Accuracy and utility in blocks of questions, in the order of asking; the first "
        f"{min(cell['learning'], len(episodes))} are learnt from.",
        "Accuracy and utility of the on-line agents over the questions asked.",
        partial(frontier, {"accuracy": points, "utility": worth}, "questions asked", "mean"),
    )
    return Section("Learning", "", (Table("Over time", head, tuple(lines)),), (drawing,))


def _handoffs(cell: Json, episodes: Sequence[Json]) -> Section:
    count = len(cell["agents"])
    flow = np.zeros((count, count + 1))
    for one in episodes:
        for holder, receiver in one["moves"]:
            flow[holder, receiver] += 1
    text = (
        f"{cell['crossed']} scalars crossed between agents in this run, one with each handoff from "
        "one agent to another."
    )
    if not episodes:
        return Section("Handoffs", text)
    drawing = Drawing(
        "handoffs",
        "Handoffs per question, where any were judged of the judged ones. A loop is a model at "
        "work.",
        "Handoff graph of IC-Q.",
        partial(handoff_graph, cell["agents"], flow / len(episodes)),
    )
    return Section("Handoffs", text, (), (drawing,))


def _terms(cell: Json) -> Section:
    lines: list[Line] = []
    for agent, document in cell["terms"].items():
        by_name = {term["term"]: term for term in document["terms"]}
        for name in ("approximation", "interface gap", "residual"):
            figure = by_name[name]["estimate"]
            lines.append((agent, cell["decisions"][agent], name, _figure(figure), figure["note"]))
    text = (
        "The three terms of the bound, estimated by each agent from its own log of the judged "
        "questions, where values stood still. The logs lie in the run folder; `batonq bound LOG` "
        "reads them."
    )
    if not lines:
        return Section("Bound", "No question was judged, so no agent has a log to estimate from.")
    head = ("agent", "decisions", "term", "estimate", "what it is")
    return Section("Bound", text, (Table("Terms of the bound", head, tuple(lines)),))


def _listed(config: Mapping[str, Json], cell: Json, judged: Sequence[Json]) -> Section:
    everything = share(one["right"] for one in cell["episodes"])
    if everything is None:
        return Section("Listed with the paper", "No question was finished.")
    ours = share(one["right"] for one in judged)
    found = listed.table(config, bool(cell["stopped"]), everything, ours)
    return Section("Listed with the paper", listed.NOTE, (found,))


def _figure(figure: Json) -> Interval | None:
    if figure["value"] is None:
        return None
    return Interval(figure["value"], figure["low"], figure["high"])


def _by_call(cell: Json) -> dict[str, list[Json]]:
    """The calls made of each name, in the order of the names; those never made are left out."""
    made: dict[str, list[Json]] = {name: [] for name in cell["calls"]}
    for one in cell["episodes"]:
        for call in one["calls"]:
            made[cell["calls"][call["call"]]].append(call)
    return {name: some for name, some in made.items() if some}


def _column(calls: Sequence[Json], name: str) -> np.ndarray:
    return np.array([float(call[name]) for call in calls])


def _sums(episodes: Sequence[Json], name: str) -> np.ndarray:
    """Of each question, the sum over its calls."""
    return np.array([sum(float(call[name]) for call in one["calls"]) for one in episodes])
