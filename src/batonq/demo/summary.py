"""What came out of the demo: rows, tables and the report around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from batonq.base.files import Json
from batonq.demo.notes import CHOICES, LIMITS, TEXTS
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.figures import Curve, curves
from batonq.study.lines import Line, counted, missed, to_reach
from batonq.study.rows import Row

SHARE: Final = 0.9  # of the exact optimum, to be reached
LEARNER: Final = {  # name of a mark -> learner of its rows
    "untrained": "random",
    "fixed": "fixed",
    "feasible": "feasible",
    "full": "oracle",
}
NAMED: Final = {
    "untrained": "before: untrained, every action as likely",
    "fixed": "before: the fixed route",
    "after": "after: what the four have learnt",
    "feasible": "optimum of those who see only their part",
    "full": "exact optimum, of one who sees everything",
}
PARTS: Final = {  # what bytes between agents were -> its name
    "artifact": "artifacts, as their receivers are shown them",
    "scalar": "learning scalars, as written in JSON",
    "protocol": "protocol: names, ids, punctuation",
    "heads": "HTTP: first lines and headers",
    "other": "declarations of units, errors",
    "broken": "broken off",
}


def summarise(_config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up the one run that there is."""
    (found,) = outputs
    lines = _lines(found)
    reached = to_reach(lines, "part", TEXTS["lines"])
    return Summary(
        headline=" ".join(part for part in (_told(found), counted(lines), missed(lines)) if part),
        rows=tuple(_rows(found)),
        sections=(
            _learnt(found),
            Section("One agent is killed", TEXTS["kill"], (killed(found), _agents(found))),
            Section("What crossed", TEXTS["crossed"], (crossed(found), _pairs(found))),
            Section("What each agent does now", TEXTS["policy"], (_policy(found),)),
            reached,
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def tables(found: Json) -> tuple[Table, ...]:
    """Those that the command shows."""
    return before_and_after(found), killed(found), crossed(found)


def before_and_after(found: Json) -> Table:
    """Value and right outcomes, before, after and at best."""
    full = found["marks"]["full"]["value"]
    scores = found["marks"] | {"after": found["after"]}
    return Table(
        "Before and after, exactly, over all requests that can come in",
        ("policy", "value of a request", "share of the optimum", "right outcomes"),
        tuple(
            (
                NAMED[name],
                scores[name]["value"],
                percent(scores[name]["value"] / full),
                percent(scores[name]["right"]),
            )
            for name in NAMED
        ),
    )


def killed(found: Json) -> Table:
    """What became of the killed agent's handoffs."""
    kill, agent = found["kill"], found["agents"][found["kill"]["agent"]]
    lines: list[tuple[str, str | float]] = [
        ("handoffs decided when it was killed", kill["decided"]),
        ("handoffs in its hands then, not settled yet", kill["open"]),
        ("seconds until it answered again", kill["seconds"]),
        ("handoffs decided in all", agent["decided"]),
        ("settled", agent["settled"]),
        ("lost", agent["lost"]),
        ("settled, but not learnt from", agent["unlearnt"]),
        ("learnt twice", agent["twice"]),
        ("handoffs of others that had to wait for a quote", _waited(found)),
        ("values learnt", agent["pairs"]),
        ("of these, other than a replay of its log gives", agent["differing"]),
    ]
    caption = f"{kill['agent']}, killed with kill -9 and started again"
    return Table(caption, ("what", "count"), tuple(lines))


def crossed(found: Json) -> Table:
    """The bytes between agents and what they were."""
    sums, total, passed = _sums(found), _total(found), found["passed"]
    lines = [(name, sums[part], sums[part] / passed) for part, name in PARTS.items() if sums[part]]
    lines.append(("in all", total, total / passed))
    caption = (
        f"Bytes between agents, by the proxy: {passed:,} handoffs, a learning scalar of "
        f"{_bits(found)} bits each"
    )
    return Table(caption, ("what", "bytes", "per handoff"), tuple(lines))


def percent(share: float) -> str:
    """A share for readers."""
    return f"{100 * share:.1f} %"


def _told(found: Json) -> str:
    share = found["after"]["value"] / found["marks"]["full"]["value"]
    return (
        f"Four agents in four processes came to {percent(share)} of the exact optimum after "
        f"{found['handoffs']:,} handoffs; one of them was killed with kill -9 on the way."
    )


def _rows(found: Json) -> Iterator[Row]:
    full = found["marks"]["full"]["value"]
    scores = {LEARNER[name]: score for name, score in found["marks"].items()}
    for learner, score in (scores | {"icq": found["after"]}).items():
        for metric, value in (
            ("value", score["value"]),
            ("value_ratio", score["value"] / full),
            ("accuracy", score["right"]),
        ):
            yield Row({"handoffs": found["handoffs"]}, learner, metric, value)


def _lines(found: Json) -> list[Line]:
    share = found["after"]["value"] / found["marks"]["full"]["value"]
    agents, victim = found["agents"], found["kill"]["agent"]
    lost = sum(one["lost"] + one["unlearnt"] for one in agents.values())
    twice = sum(one["twice"] + one["unknown"] for one in agents.values())
    strange, bits = found["shown"]["strange"], _bits(found)
    exact = agents[victim]["differing"] == 0
    broken = sum(not one["unbroken"] for one in agents.values())
    return [
        Line("learning", "share of the exact optimum", share, f">= {SHARE}", share >= SHARE),
        Line(
            "kill",
            f"values of {victim} against a replay of its log",
            float(agents[victim]["differing"]),
            "0 differ, to the last bit",
            exact,
            f"{agents[victim]['pairs']} values",
        ),
        Line("kill", "handoffs lost or not learnt from", float(lost), "0", lost == 0),
        Line("kill", "handoffs learnt twice or unknown", float(twice), "0", twice == 0),
        Line("kill", "stores whose hash chain is broken", float(broken), "0", broken == 0),
        Line("wire", "bits of each learning scalar", bits, "8", bits == 8),
        Line(
            "wire",
            "handoffs between agents without one, or quoted without one",
            float(abs(found["passed"] - _quoted(found))),
            "0",
            found["passed"] == _quoted(found),
            f"{found['passed']:,} handoffs, {_quotes(found):,} quotes: some were asked for again",
        ),
        Line(
            "wire",
            "artifacts with anything that their receiver is not shown",
            float(strange),
            "0",
            strange == 0,
            f"{found['shown']['artifacts']} different ones",
        ),
    ]


def _learnt(found: Json) -> Section:
    curve = found["curve"]
    at = np.array([one["handoffs"] for one in curve], float)
    share = percent(found["after"]["value"] / found["marks"]["full"]["value"])
    kill = {f"{found['kill']['agent']} is killed": float(found["kill"]["handoffs"])}

    def line(name: str) -> Curve:
        return Curve(at, np.array([[one[name] for one in curve]]))

    def value() -> Any:
        levels = {
            "exact optimum": found["marks"]["full"]["value"],
            "best of those who see their part": found["marks"]["feasible"]["value"],
        }
        return curves({"learnt": line("value")}, "handoffs", "value of a request", levels, kill)

    def right() -> Any:
        names = {"learnt": line("right"), "served, of the latest 200": line("recent")}
        return curves(names, "handoffs", "share of right outcomes", None, kill)

    return Section(
        "Before and after",
        TEXTS["learnt"],
        (before_and_after(found),),
        (
            Drawing(
                "value",
                "Exact value of what the agents have learnt, as they would act without exploring.",
                f"The value rises with the handoffs, to {share} of the optimum.",
                value,
            ),
            Drawing(
                "right",
                "Requests closed with what the customer needed: exactly, without exploring, and as "
                "they were served, with exploring.",
                f"The share rises to {percent(found['after']['right'])}.",
                right,
            ),
        ),
    )


def _agents(found: Json) -> Table:
    columns = ("decided", "settled", "learnt", "lost", "unlearnt", "twice", "unknown", "differing")
    return Table(
        "The pipeline's book against each agent's store",
        ("agent", *columns),
        tuple(
            (agent, *(one[column] for column in columns)) for agent, one in found["agents"].items()
        ),
    )


def _pairs(found: Json) -> Table:
    columns = ("handoffs", "quotes", "bits", "there", "back", *PARTS)
    return Table(
        "By sender and receiver; there, back and what follows in bytes",
        ("sender", "receiver", *columns),
        tuple(
            (one["sender"], one["receiver"], *(one[column] for column in columns))
            for one in found["crossed"]
        ),
    )


def _policy(found: Json) -> Table:
    lines = tuple((one["agent"], one["seen"], one["does"]) for one in found["policy"])
    return Table("The best action by what was learnt", ("agent", "is shown", "does"), lines)


def _sums(found: Json) -> dict[str, int]:
    return {part: sum(one[part] for one in found["crossed"]) for part in PARTS}


def _total(found: Json) -> int:
    return sum(one["there"] + one["back"] for one in found["crossed"])


def _quotes(found: Json) -> int:
    return sum(one["quotes"] for one in found["crossed"])


def _quoted(found: Json) -> int:
    return sum(one["handoffs"] for one in found["crossed"])


def _bits(found: Json) -> float:
    bits: float = sum(one["bits"] for one in found["crossed"]) / max(_quotes(found), 1)
    return int(bits) if bits.is_integer() else bits


def _waited(found: Json) -> int:
    return sum(one["waited"] for one in found["agents"].values())
