"""What the scenarios "failure" and "shift" come to: time to recover, delays, curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from batonq.tasks.routing.networks.network import Network, from_json
from batonq.tasks.routing.networks.reporting import BANDS, curve, described, geometric, row
from batonq.tasks.routing.networks.traffic import PEERS, in_order

WINDOW: Final = 5  # bins over which a delay is averaged to tell whether it has recovered
NEAR: Final = 1.05  # times the reference's level within which it has
LOST: Final = 0.01  # share of packets dropped above the reference's from which it has not
MERGED: Final = 5  # bins to a point of a figure
DELAYS: Final = "Mean delay of delivered packets over the reference's, by period"
DROPS: Final = "Share of packets dropped or lost"
EVENTS: Final = {"failure": ("cut", "repaired"), "shift": ("shifted",)}
AFTER: Final = {"cut": "the cut", "repaired": "the repair", "shifted": "the shift"}
DRAWN: Final = ("replan", "icq", "q_routing_queue", "dual_q_routing", "icq, no probes, no news")
MEANT: Final = {
    "failure": "After a third of the time the busiest link that can be spared fails; after two "
    "thirds it works again. The first third begins with empty tables.",
    "shift": "After half of the time the gravity model's masses are drawn anew, and the rate is "
    "set so that the busiest link's use under shortest path is again rho. The first half begins "
    "with empty tables.",
}
READ: Final = (
    "A router counts as recovered from the moment after which the mean delay of packets, over any "
    "60th of the whole time, is never again above 1.05 times the reference's level in the second "
    "half of the period, or above the reference's own highest such mean there, and no more than "
    "one packet in a hundred more than the reference's is dropped. Times are in service times of a "
    "packet. Where it does not recover before the period ends, the period counts, which "
    "understates it; how many seeds recovered is told. So the reference's level counts, "
    "not a router's own: one that is above it even where nothing changes never recovers. Times are "
    "not negative and far from normal, so that their intervals are rough."
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
    network: Network
    cells: Sequence[Json]

    @property
    def name(self) -> str:
        """Network and load."""
        return f"{self.network.name}, rho {self.cells[0]['rho']:g}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Who routed."""
        return in_order(self.cells[0]["routed"])

    def period(self, number: int) -> slice:
        """The bins before the first event (0), after it (1), after the second (2)."""
        bins, count = len(self.cells[0]["routed"]["icq"]["born"]), len(EVENTS[self.scenario]) + 1
        return slice(bins * number // count, bins * (number + 1) // count)

    def delay(self, key: str, bins: slice) -> Float[np.ndarray, " seed"]:
        """Mean delay in ms of packets born in some bins and delivered; not a number if none was."""
        found = [
            np.sum(one["delay"][bins]) / delivered
            if (delivered := np.sum(one["delivered"][bins]))
            else np.nan
            for one in self._of(key)
        ]
        return np.array(found)

    def ratio(self, key: str, number: int) -> Interval | None:
        """Delay in a period over the reference's, paired by seed; None where a seed has none."""
        bins = self.period(number)
        return geometric(self.delay(key, bins) / self.delay("replan", bins))

    def dropped(self, key: str, number: int) -> Interval:
        """Share of packets born in a period that were dropped or lost."""
        bins = self.period(number)
        found = [np.sum(one["dropped"][bins]) / np.sum(one["born"][bins]) for one in self._of(key)]
        return over_seeds(np.array(found))

    def recovery(self, key: str, number: int) -> tuple[Interval | None, int]:
        """Time to recover from the event that begins a period, in services; in how many seeds.

        None if the reference delivers nothing to judge by.
        """
        bins, times, whole = self.period(number), [], 0
        last = slice((bins.start + bins.stop) // 2, bins.stop)
        levels = self.delay("replan", last)
        if not np.isfinite(levels).all():
            return None, 0
        for cell, one, level in zip(self.cells, self._of(key), levels, strict=True):
            delay, delivered, born, dropped = _windows(one, bins)
            usual = _windows(cell["routed"]["replan"], last)
            limit = max(NEAR * level, float((usual[0] / np.maximum(usual[1], 1)).max()))
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
    found = _gather(scenario, outputs)
    networks = {one.network.name: one.network for one in found}
    return Summary(
        headline=_headline(found),
        rows=tuple(row for one in found for row in _rows(one)),
        sections=(
            Section("Time to recover", f"{MEANT[scenario]} {READ}", (_recovery(found),)),
            Section(
                "Delays and drops",
                "",
                (
                    _by_period(found, DELAYS, Changed.ratio),
                    _by_period(found, DROPS, Changed.dropped),
                ),
            ),
            _curves(found),
            Section("The networks", "", (described(list(networks.values())),)),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def _gather(scenario: str, outputs: Sequence[Json]) -> list[Changed]:
    """The outputs of each network and load, in the order in which they were asked for."""
    networks = {
        one["index"]: from_json(one["network"]) for one in outputs if one["network"] is not None
    }
    return [
        Changed(
            scenario,
            networks[place[0]],
            sorted(
                (one for one in outputs if (one["index"], one["rho"]) == place),
                key=lambda one: one["number"],
            ),
        )
        for place in sorted({(one["index"], one["rho"]) for one in outputs})
    ]


def _headline(found: Sequence[Changed]) -> str:
    """In how many cases who recovers."""
    said = []
    for number, event in enumerate(EVENTS[found[0].scenario], start=1):
        parts = []
        for key in ("icq", "q_routing_queue", "dual_q_routing"):
            whole = sum(one.recovery(key, number)[1] for one in found)
            parts.append(f"{key} in {whole}")
        seeds = sum(len(one.cells) for one in found)
        said.append(f"from {AFTER[event]}: {', '.join(parts)} of {seeds} runs")
    return f"Recovered {'; '.join(said)}. {_quicker(found)}"


def _quicker(found: Sequence[Changed]) -> str:
    """Where which peers recover in as many seeds as IC-Q, or more, and in less time on average."""
    cases = []
    for one in found:
        for number, event in enumerate(EVENTS[one.scenario], start=1):
            ours, whole = one.recovery("icq", number)
            theirs = {peer: one.recovery(peer, number) for peer in PEERS}
            quick = [
                peer
                for peer, (time, in_all) in theirs.items()
                if time is not None and ours is not None
                if in_all >= whole and time.value < ours.value
            ]
            if quick:
                cases.append(f"{one.name}, after {AFTER[event]} ({', '.join(quick)})")
    return f"A peer is quicker at {'; '.join(cases)}." if cases else "No peer is quicker than IC-Q."


def _rows(one: Changed) -> Iterator[Row]:
    setting: dict[str, Scalar] = {
        "scenario": one.scenario,
        "graph": one.network.name,
        "rho": one.cells[0]["rho"],
    }
    for key in one.keys:
        for number, event in enumerate(("before", *EVENTS[one.scenario])):
            where = {**setting, "event": event}
            yield row(where, key, "delay_ratio", one.ratio(key, number))
            yield row(where, key, "drops", one.dropped(key, number))
            if number > 0:
                time, whole = one.recovery(key, number)
                yield row(where, key, "recovery", time)
                seeds = len(one.cells)
                share = Interval(whole / seeds, None, None, seeds, "seeds")
                yield row(where, f"{key}, share of seeds that recovered", "measured", share)


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
    columns = [column for event in events for column in (f"{event}: services", f"{event}: seeds")]
    return Table("Time to recover, in service times", ("network", "router", *columns), tuple(lines))


def _by_period(
    found: Sequence[Changed], caption: str, figure: Callable[[Changed, str, int], Interval | None]
) -> Table:
    """A figure of every router in every period."""
    periods = ("before", *EVENTS[found[0].scenario])
    lines: list[tuple[str | Interval | None, ...]] = [
        (one.name, key, *(figure(one, key, number) for number in range(len(periods))))
        for one in found
        for key in one.keys
    ]
    return Table(caption, ("network", "router", *periods), tuple(lines))


def _curves(found: Sequence[Changed]) -> Section:
    drawings = tuple(
        Drawing(
            f"change-{number}",
            f"{one.name}: mean delay by the time of birth, over the reference's before the change "
            f"in the same seed.{_which(one)}",
            "Curves of the delay over time, one a router; they jump at the change and come back.",
            partial(_curve, one, curves),
        )
        for number, one in enumerate(found)
        if (curves := _through(one))
    )
    return Section("Through the change", BANDS, (), drawings)


def _which(one: Changed) -> str:
    """The link that failed in the first seed."""
    ends = one.cells[0]["link"]
    return f" In seed 0 the link {ends[0]} - {ends[1]} fails." if ends else ""


def _through(one: Changed) -> dict[str, figures.Curve]:
    """Delay over time, of those who delivered any."""
    bins = len(one.cells[0]["routed"]["icq"]["born"])
    # What is learnt from nothing would hide the rest.
    parts = [slice(start, start + MERGED) for start in range(0, bins, MERGED)]
    parts = parts[len(parts) // 6 :]
    time = np.array([100 * part.stop / bins for part in parts])
    before = one.period(0)
    level = one.delay("replan", slice((before.start + before.stop) // 2, before.stop))
    found = {
        key: curve(time, np.stack([one.delay(key, part) / level for part in parts], axis=1))
        for key in DRAWN
    }
    return {key: drawn for key, drawn in found.items() if drawn is not None}


def _curve(one: Changed, curves: Mapping[str, figures.Curve]) -> Figure:
    events = EVENTS[one.scenario]
    marks = {event: 100 * (at + 1) / (len(events) + 1) for at, event in enumerate(events)}
    label = "mean delay over the reference's before"
    return figures.curves(curves, "time of birth, % of the whole", label, marks=marks)
