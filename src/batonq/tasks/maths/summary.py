"""What the static scenario comes to: every figure as a row, and the report around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batonq.base.files import Json
from batonq.study.experiment import Section, Summary
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.maths import sections, term_summary
from batonq.tasks.maths.fold import finite
from batonq.tasks.maths.lines import PEERS, Line, Pooled, all_lines
from batonq.tasks.maths.notes import choices, limits, with_origin
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.pools import pool_named
from batonq.tasks.maths.records import gather
from batonq.tasks.maths.statistics import means

LEARNERS: Final = ("icq", "no_scalar", "monte_carlo", "random")
SHOWN: Final = ("icq", "centralised", *LEARNERS[1:], *PEERS, "oracle")

Place = tuple[str, str]  # pool and parse


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up the folds of every pool and parse."""
    groups: dict[Place, list[Json]] = {}
    for cell in cells:
        groups.setdefault((cell["pool"], cell["parse"]), []).append(cell)
    pooled = {
        place: Pooled(gather(group), group, config["interface"]) for place, group in groups.items()
    }
    lines = {
        place: all_lines(one, config["lambda"], config["reported"]) for place, one in pooled.items()
    }
    local = any(pool_named(config["dataset"], pool).local for pool, _ in groups)
    unit = next(iter(pooled.values())).unit  # pools of different units are not run together
    main = [row for place, one in pooled.items() for row in _main_rows(config, place, one)]
    dialled = [row for place, one in pooled.items() for row in _dialled_rows(config, place, one)]
    return Summary(
        headline=with_origin(
            config["dataset"], _headline(pooled, lines, config["reported"][0]), local
        ),
        rows=(*main, *dialled, *_training_rows(config, lines), *_term_rows(config, groups)),
        sections=(
            sections.results(config, main, unit),
            sections.to_reach(lines),
            sections.frontiers(config, main, pooled),
            sections.interfaces(config, pooled),
            sections.training(config, pooled),
            sections.handoffs(config, pooled),
            *([term_summary.section(found)] if (found := _with_terms(groups)) else []),
            *_subjects(config, pooled),
        ),
        choices=choices(local),
        limits=limits(local),
    )


def figures(outcome: Outcome, price: float) -> dict[str, Interval]:
    """Every metric of an outcome with its interval over questions."""
    quantities = {
        "accuracy": outcome.right,
        "cost": outcome.cost,
        "calls": outcome.calls,
        "utility": outcome.utility(price),
        "tokens": outcome.tokens,
    }
    return {name: means(values).interval() for name, values in quantities.items()}


def _setting(
    config: Mapping[str, Json], place: Place, price: float, interface: str
) -> dict[str, Scalar]:
    return {
        "dataset": config["dataset"],
        "subject": "all",
        "scenario": "static",
        "pool": place[0],
        "parse": place[1],
        "interface": interface,
        "lambda": price,
    }


def _main_rows(config: Mapping[str, Json], place: Place, pooled: Pooled) -> list[Row]:
    """Every learner behind the main interface, and every peer, at every price.

    `centralised` is the better of its two forms at each price; it and the peers see the board.
    """
    rows = []
    for price in config["lambda"]:
        for learner in SHOWN:
            source = pooled.reference(price) if learner == "centralised" else learner
            sees = config["interface"] if learner in LEARNERS else "board"
            setting = _setting(config, place, price, sees)
            for metric, interval in figures(pooled.of(source, price), price).items():
                rows.append(interval.row(setting, learner, metric))
    return rows


def _dialled_rows(config: Mapping[str, Json], place: Place, pooled: Pooled) -> list[Row]:
    """IC-Q behind the other interfaces, and the exact optimum of the cells of each."""
    rows = []
    for key, outcome in pooled.outcomes.items():
        other = key.learner == "icq" and key.interface != config["interface"]
        if other or key.learner == "feasible":
            setting = _setting(config, place, key.price, key.interface)
            for metric, interval in figures(outcome, key.price).items():
                rows.append(interval.row(setting, key.learner, metric))
    return rows


def _training_rows(config: Mapping[str, Json], lines: Mapping[Place, Sequence[Line]]) -> list[Row]:
    """The table's share of the exact optimum on the questions it learnt from."""
    return [
        line.figure.row(
            {
                **_setting(config, place, line.price, finite(config["interface"])),
                "q": "table",
                "part": "training",
            },
            "icq",
            "measured",
        )
        for place, some in lines.items()
        for line in some
        if line.kind == "training" and line.price is not None
    ]


def _with_terms(groups: Mapping[Place, Sequence[Json]]) -> dict[Place, Sequence[Json]]:
    """The places whose terms were computed: not every reading, and no run before there were any."""
    return {place: cells for place, cells in groups.items() if cells[0].get("terms")}


def _term_rows(config: Mapping[str, Json], groups: Mapping[Place, Sequence[Json]]) -> list[Row]:
    return [
        row
        for place, cells in _with_terms(groups).items()
        for row in term_summary.term_rows(_setting(config, place, 0.0, ""), cells)
    ]


def _headline(
    pooled: Mapping[Place, Pooled], lines: Mapping[Place, Sequence[Line]], price: float
) -> str:
    told = []
    for place, one in pooled.items():
        icq = one.of("icq", price)
        wanted = [line.reached for line in lines[place]]
        told.append(
            f"Pool {place[0]}, answers {place[1]}: IC-Q is right on {icq.right.mean():.1%} of "
            f"held-out questions for {icq.cost.mean():.3f} {one.unit} in "
            f"{icq.calls.mean():.2f} calls (lambda {price:g}); "
            f"{sum(wanted)} of {len(wanted)} lines reached."
        )
    return " ".join(told)


def _subjects(config: Mapping[str, Json], pooled: Mapping[Place, Pooled]) -> list[Section]:
    names = {name for one in pooled.values() for cell in one.cells for name in cell["subjects"]}
    return [sections.subjects(config, pooled)] if len(names) > 1 else []
