"""What the scenarios "failure" and "shift" come to: time to recover, delays, curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.routing.networks.traffic import in_order

WINDOW: Final = 5  # bins over which a delay is averaged to tell whether it has recovered
NEAR: Final = 1.05  # times the reference's level within which it has
LOST: Final = 0.01  # share of packets dropped above the reference's from which it has not
MERGED: Final = 5  # bins to a point of a figure
EVENTS: Final = {"failure": ("cut", "repaired"), "shift": ("shifted",)}
DRAWN: Final = ("replan", "icq", "q_routing_queue", "dual_q_routing", "icq, no probes, no news")
MEANT: Final = {
    "failure": "After a third of the time the busiest link that can be spared fails; after two "
    "thirds it works again.",
    "shift": "After half of the time the gravity model's masses are drawn anew, and the rate is "
    "set so that the busiest link's use under shortest path is again rho.",
}
READ: Final = (
    "A router counts as recovered from the moment after which the mean delay of packets, over any "
    "60th of the whole time, is never again above 1.05 times the reference's level in the second "
    "half of the period, or above the reference's own highest such mean there, and no more than "
    "one packet in a hundred more than the reference's is dropped. Times are in service times of a "
    "packet. Where it does not recover before the period ends, the period counts, which "
    "understates it; how many seeds recovered is told."
)
CHOICES: Final = (
    "A router knows at once that its own link has failed or works again; everybody else learns it "
    "from quotes. Packets on the link are lost, those queued for it are routed anew.",
    "Shortest path keeps its table, and drops what it cannot send.",
    "IC-Q's probes (one packet in a thousand goes by the link not heard of for longest) and its "
    "sharing of good news between destinations are what lets it find a repaired link; a row shows "
    "it without them. Dual Q-routing hears of it from its second scalar.",
)
LIMITS: Final = (
    "One link fails, and only once; loads are such that the rest of the network can carry on.",
    "The time to recover is resolved to a 300th of the whole time.",
)


@dataclass(frozen=True, eq=False)
class Changed:
    """One network at one load: outputs in the order of the seeds."""

    scenario: str
    cells: Sequence[Json]

    @property
    def name(self) -> str:
        """Network and load."""
        return f"{self.cells[0]['graph']}, rho {self.cells[0]['rho']:g}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Who routed."""
        return in_order(self.cells[0]["routed"])

    def period(self, number: int) -> slice:
        """The bins before the first event (0), after it (1), after the second (2)."""
        bins, count = len(self.cells[0]["routed"]["icq"]["born"]), len(EVENTS[self.scenario]) + 1
        return slice(bins * number // count, bins * (number + 1) // count)

    def delay(self, key: str, bins: slice) -> Float[np.ndarray, " seed"]:
        """Mean delay of packets born in some bins and delivered, in ms."""
        found = [
            np.sum(one["delay"][bins]) / max(np.sum(one["delivered"][bins]), 1)
            for one in self._of(key)
        ]
        return np.array(found)

    def ratio(self, key: str, number: int) -> Interval:
        """Delay in a period over the reference's, paired by seed."""
        bins = self.period(number)
        return over_seeds(self.delay(key, bins) / self.delay("replan", bins))

    def dropped(self, key: str, number: int) -> Interval:
        """Share of packets born in a period that were dropped or lost."""
        bins = self.period(number)
        found = [np.sum(one["dropped"][bins]) / np.sum(one["born"][bins]) for one in self._of(key)]
        return over_seeds(np.array(found))

    def recovery(self, key: str, number: int) -> tuple[Interval, int]:
        """Time to recover from the event that begins a period, in services; in how many seeds."""
        bins, times, whole = self.period(number), [], 0
        last = slice((bins.start + bins.stop) // 2, bins.stop)
        levels = self.delay("replan", last)
        for cell, one, level in zip(self.cells, self._of(key), levels, strict=True):
            delay, delivered, born, dropped = _windows(one, bins)
            usual = _windows(cell["routed"]["replan"], last)
            limit = max(NEAR * level, float((usual[0] / usual[1]).max()))
            lost = LOST + usual[3].sum() / usual[2].sum()
            slow = delay > limit * np.maximum(delivered, 1)
            late = np.flatnonzero(slow | (dropped > lost * born))
            first = int(late[-1]) + 1 if len(late) else 0
            whole += first < len(delay)
            end = first if first < len(delay) else bins.stop - bins.start
            times.append(end * cell["bin_services"])
        return over_seeds(np.array(times)), whole

    def _of(self, key: str) -> list[Json]:
        return [cell["routed"][key] for cell in self.cells]


def _windows(one: Json, bins: slice) -> Float[np.ndarray, "what window"]:
    """Delay, packets delivered, born and dropped, summed over windows of `WINDOW` bins."""
    whats = ("delay", "delivered", "born", "dropped")
    return np.stack([np.convolve(one[what][bins], np.ones(WINDOW), "valid") for what in whats])


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up the networks of a run."""
    scenario = config["scenario"]
    places = sorted({(one["index"], one["rho"]) for one in outputs})
    found = [
        Changed(
            scenario,
            sorted(
                (one for one in outputs if (one["index"], one["rho"]) == place),
                key=lambda one: one["number"],
            ),
        )
        for place in places
    ]
    return Summary(
        headline=_headline(found),
        rows=tuple(row for one in found for row in _rows(one)),
        sections=(
            Section("Time to recover", f"{MEANT[scenario]} {READ}", (_recovery(found),)),
            Section("Delays and drops", "", (_delays(found), _drops(found))),
            _curves(found),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def _headline(found: Sequence[Changed]) -> str:
    """In how many cases who recovers."""
    said = []
    for number, event in enumerate(EVENTS[found[0].scenario], start=1):
        parts = []
        for key in ("icq", "q_routing_queue", "dual_q_routing"):
            whole = sum(one.recovery(key, number)[1] for one in found)
            parts.append(f"{key} in {whole}")
        seeds = sum(len(one.cells) for one in found)
        said.append(f"{event}: {', '.join(parts)} of {seeds} runs")
    return f"Back within 5 % of the all-seeing reference. {'; '.join(said)}."


def _rows(one: Changed) -> Iterator[Row]:
    for key in one.keys:
        learner, _, of = key.partition(", ")
        setting: dict[str, Scalar] = {
            "scenario": one.scenario,
            "graph": one.cells[0]["graph"],
            "rho": one.cells[0]["rho"],
            **({"of": of} if of else {}),
        }
        for number, event in enumerate(("before", *EVENTS[one.scenario])):
            where = {**setting, "event": event}
            yield one.ratio(key, number).row(where, learner, "delay_ratio")
            yield one.dropped(key, number).row(where, learner, "drops")
            if number > 0:
                time, whole = one.recovery(key, number)
                where["recovered"] = f"{whole} of {len(one.cells)}"
                yield time.row(where, learner, "recovery")


def _recovery(found: Sequence[Changed]) -> Table:
    lines: list[tuple[str | float | Interval | None, ...]] = []
    events = EVENTS[found[0].scenario]
    for one in found:
        for key in one.keys:
            cells: list[str | float | Interval | None] = [one.name, key]
            for number in range(1, len(events) + 1):
                time, whole = one.recovery(key, number)
                cells += [time, f"{whole} of {len(one.cells)}"]
            lines.append(tuple(cells))
    columns = [column for event in events for column in (f"{event}: services", "recovered")]
    return Table("Time to recover, in service times", ("network", "router", *columns), tuple(lines))


def _delays(found: Sequence[Changed]) -> Table:
    events = ("before", *EVENTS[found[0].scenario])
    lines: list[tuple[str | Interval, ...]] = [
        (one.name, key, *(one.ratio(key, number) for number in range(len(events))))
        for one in found
        for key in one.keys
    ]
    caption = "Mean delay of delivered packets over the reference's, by period"
    return Table(caption, ("network", "router", *events), tuple(lines))


def _drops(found: Sequence[Changed]) -> Table:
    events = ("before", *EVENTS[found[0].scenario])
    lines: list[tuple[str | Interval, ...]] = [
        (one.name, key, *(one.dropped(key, number) for number in range(len(events))))
        for one in found
        for key in one.keys
    ]
    caption = "Share of packets dropped or lost"
    return Table(caption, ("network", "router", *events), tuple(lines))


def _curves(found: Sequence[Changed]) -> Section:
    drawings = tuple(
        Drawing(
            f"change-{number}",
            f"{one.name}: mean delay by the time of birth.{_which(one)}",
            "Curves of the delay over time, one a router; they jump at the change and come back.",
            partial(_curve, one),
        )
        for number, one in enumerate(found)
    )
    return Section("Through the change", "Means over seeds with 95 % bands.", (), drawings)


def _which(one: Changed) -> str:
    """The link that failed in the first seed."""
    ends = one.cells[0]["link"]
    return f" In seed 0 the link {ends[0]} - {ends[1]} fails." if ends else ""


def _curve(one: Changed) -> Figure:
    bins = len(one.cells[0]["routed"]["icq"]["born"])
    parts = [slice(start, start + MERGED) for start in range(0, bins, MERGED)]
    packets = np.array([part.stop for part in parts]) * one.cells[0]["bin_packets"]
    shown = slice(len(parts) // 6, None)  # what is learnt from nothing would hide the rest
    curves = {
        key: figures.Curve(
            packets[shown], np.stack([one.delay(key, part) for part in parts], axis=1)[:, shown]
        )
        for key in DRAWN
    }
    marks = {
        event: packets[-1] * (number + 1) / (len(EVENTS[one.scenario]) + 1)
        for number, event in enumerate(EVENTS[one.scenario])
    }
    return figures.curves(curves, "packets born", "mean delay, ms", marks=marks)
