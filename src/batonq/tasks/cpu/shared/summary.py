"""What the scenario "shared" comes to: lines to reach, rows, and the report around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.study.experiment import Section, Summary
from batonq.study.intervals import over_seeds, paired_seeds
from batonq.study.lines import Line, counted, missed, to_reach
from batonq.study.rows import Row, Scalar
from batonq.study.tables import text
from batonq.tasks.cpu.heldout import study
from batonq.tasks.cpu.options import SHARED
from batonq.tasks.cpu.shared import gap, sections
from batonq.tasks.cpu.shared.learning import NARROW, VIEWS, WHOLE
from batonq.tasks.cpu.shared.sections import Output, Readings, figures_of

FEWEST: Final = 60  # jobs
LONG: Final = (5, 6)  # instructions of shortest programs that must be among them
SEEDS: Final = 5
# What else is in the report, by kind of cell; each takes the outputs of its own cells.
PARTS: Final = {"gap": gap, "heldout": study}

CHOICES: Final = (
    f"With all 16 vectors in view what comes of an action is a function of what is seen: step 1, "
    f"exploration by chance {WHOLE.behaviour.parameter:g}, and actions never tried are hoped to be "
    f"worth {WHOLE.hope:.3f}, just above gamma^2, so that whatever could still shorten a program "
    "is tried.",
    "All narrower views, and Monte Carlo, have another rule, one for all of them: step "
    f"1 / (1 + (1 - gamma) n) at the n-th update, chance {NARROW.behaviour.parameter:g}, hope "
    f"{NARROW.hope:.3f}. Monte Carlo does far better with it than with the first. IC-Q with all "
    "vectors in view came close to the optimum with it, too, in the one seed tried.",
    "Jobs that end well are posed more rarely, down to a twentieth.",
    "The first agent of a crew (MOV) is given every job; a job is broken off after 7 primitive "
    "steps, after 12 with memory.",
    "All learners have the same handoffs. IC-Q, no scalar and the centralised learner with the "
    "full view have the same rule.",
)
LIMITS: Final = (
    "Jobs are small: a search over programs finds every optimum within seconds. What is shown is "
    "that agents without joint sight learn it, not that it is a way to compile.",
    "Information states are told apart by a key of 63 bits of all that is seen, so nothing is "
    "carried over from one job to another but where two look the same; see held-out tasks.",
    "Figures behind narrow views are those after the same handoffs; with 2 and 4 vectors they "
    "still rose a little, so part of what is lost there is for want of handoffs.",
    "Intervals are over seeds; jobs and vectors are fixed.",
    "Held-out tasks leave out the crew with memory, tasks with two outputs and outputs outside "
    "eax.",
)


def summarise(_config: Mapping[str, Json], outputs: Sequence[Output]) -> Summary:
    """Sum up all parts."""
    readings = Readings(outputs)
    of_part = {
        part: found
        for kind, part in PARTS.items()
        if (found := [one for one in outputs if one["kind"] == kind])
    }
    reached = [*lines(readings)]
    for part, found in of_part.items():
        reached += part.lines(found)
    first = to_reach(reached, "part", "A line of the part named is reached or it is not.")
    said = (counted(reached), _told(readings), missed(reached))
    measured = {view: figures_of(readings.scores("icq", view))["proved"] for view in VIEWS}
    return Summary(
        headline=" ".join(part for part in said if part),
        rows=(
            *_rows(readings),
            *(row for part, found in of_part.items() for row in part.rows(found)),
        ),
        sections=(
            Section(first.title, first.text, (*first.tables, sections.table(readings))),
            *sections.sections(readings),
            *(
                section
                for part, found in of_part.items()
                for section in (
                    gap.sections(found, measured) if part is gap else part.sections(found)
                )
            ),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def _told(readings: Readings) -> str:
    shares = ", ".join(
        f"{view}: {figures_of(readings.scores('icq', view))['proved'].value:.3f}" for view in VIEWS
    )
    return f"Share of {len(readings.jobs)} jobs proved, by vectors seen: {shares}."


def lines(readings: Readings) -> list[Line]:
    """What shared agents have to reach."""
    full = readings.scores("icq")
    optimal = full.optimal[:, -1]
    n_seeds, n_jobs = optimal.shape
    number = {one: int((readings.length == one).sum()) for one in LONG}
    exact = sum(one["whole"] and one["proved"] for one in readings.jobs)
    apart = sum(cell["apart"] for cell in readings.cells if cell["kind"] == "learn")
    judged = sum(cell["judged"] for cell in readings.cells if cell["kind"] == "learn")
    longest = ", ".join(f"{count} of {one} instructions" for one, count in number.items())
    return [
        Line(
            "full view",
            "jobs at 100 % of the feasible optimum, least over seeds",
            f"{int(optimal.sum(axis=1).min())} of {n_jobs}",
            "all",
            bool(optimal.all()),
            f"{n_seeds} seeds",
        ),
        Line(
            "jobs",
            "number, with shortest programs of 5 and 6 instructions among them",
            float(n_jobs),
            f"at least {FEWEST}",
            n_jobs >= FEWEST and all(number.values()),
            longest,
        ),
        Line("seeds", "number", float(n_seeds), f"at least {SEEDS}", n_seeds >= SEEDS),
        Line(
            "optimum",
            "jobs whose cheapest programs are found by exact search and proved",
            f"{exact} of {n_jobs}",
            "all",
            exact == n_jobs,
        ),
        Line(
            "judges",
            "programs proved by Z3 and wrong on fresh inputs in Unicorn",
            float(apart),
            "0",
            apart == 0,
            f"{judged} programs judged, 256 inputs each",
        ),
        _monotone(readings),
        *(_above(readings, name) for name in ("no_scalar", "monte_carlo")),
    ]


def _monotone(readings: Readings) -> Line:
    """Whether more vectors never do worse."""
    ratio = {
        view: readings.scores("icq", view).ratio[:, -1].mean(axis=1).astype(float) for view in VIEWS
    }
    means = [float(ratio[view].mean()) for view in VIEWS]
    apart = "; ".join(
        f"{more} less {fewer}: {text(paired_seeds(ratio[more], ratio[fewer]))}"
        for more, fewer in pairwise(VIEWS)
    )
    return Line(
        "views",
        f"1 less value / optimum with {', '.join(map(str, VIEWS))} vectors",
        ", ".join(f"{1 - mean:.3f}" for mean in means),
        "never falls with fewer vectors",
        bool((np.diff(means) <= 0).all()),
        apart,
    )


def _above(readings: Readings, other: str) -> Line:
    """By how much IC-Q does better than a learner with the same view."""
    values = [
        readings.scores(name).ratio[:, -1].mean(axis=1).astype(float) for name in ("icq", other)
    ]
    found = paired_seeds(values[0], values[1])
    reached = found.low is not None and found.low > 0
    return Line(
        "full view", f"value / optimum less that of {other}", found, "interval above 0", reached
    )


def _rows(readings: Readings) -> Iterator[Row]:
    for learner, view in readings.ranks:
        found = readings.scores(learner, view)
        where = _setting(view)
        told = figures_of(found)
        yield told["proved"].row(where, learner, "proved")
        yield told["feasible_ratio"].row(where, learner, "feasible_ratio")
        yield told["optimal"].row({**where, "of": "at the optimum"}, learner, "measured")
        for length in readings.lengths:
            each = figures_of(found, readings.length == length)
            at = {**where, "length": length}
            yield each["proved"].row(at, learner, "proved")
            yield each["feasible_ratio"].row(at, learner, "feasible_ratio")
        curve = found.proved.mean(axis=2).astype(float)
        for k, handoffs in enumerate(found.points[:-1].tolist()):
            yield over_seeds(curve[:, k]).row({**where, "handoffs": handoffs}, learner, "proved")


def _setting(view: int) -> dict[str, Scalar]:
    return {"scenario": SHARED, "vectors": view}
