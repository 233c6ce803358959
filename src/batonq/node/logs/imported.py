"""Imported: a record of an older log, and what a set of them can and cannot be used for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batonq.base.files import Json
from batonq.node.standing import TERMINAL


@dataclass(frozen=True)
class Trace:
    """One handoff as an older log has it; None is what the log does not say.

    Attributes:
        handoff_id: the log's own, or one made from file, line and content.
        agent: who decided.
        y: key of what it saw.
        action: what it chose.
        receiver: who held control next; None after termination.
        end: None, "terminal" or "truncated".
        reward: gathered during the option.
        duration: of the option, above 0.
        propensity: with what chance it was chosen, in (0, 1].
        quote: the receiver's value of what it received.
        workflow: which request it belonged to.
        permitted: actions that were permitted.
        default: action that would have been taken without a policy.
        at: seconds since 1970, or in the log's own time.
        source: file and line.
    """

    handoff_id: str
    agent: str
    y: str
    action: str
    receiver: str | None
    end: str | None
    reward: float
    duration: float | None
    propensity: float | None
    quote: float | None
    workflow: str | None
    permitted: tuple[str, ...] | None
    default: str | None
    at: float | None
    source: str

    def body(self) -> dict[str, Json]:
        """The body of its event: the fields of `record.Handoff` and what goes with them."""
        return {
            "observation": self.y,
            "action": self.action,
            "propensity": self.propensity,
            "reward": self.reward,
            "duration": self.duration,
            "receiver": self.receiver,
            "quote": self.quote,
            "end": self.end,
            "workflow": self.workflow,
            "permitted": None if self.permitted is None else list(self.permitted),
            "default": self.default,
            "at": self.at,
            "source": self.source,
        }


@dataclass(frozen=True)
class Imported:
    """What an import added, and what it is good for.

    Attributes:
        added: records that were new.
        repeated: records that had been imported before.
        own: records of handoffs that this node decided itself, left out.
        agents: by agent, how many were added.
        can: what can be estimated from what was added.
        cannot: what cannot, and why.
    """

    added: int
    repeated: int
    own: int
    agents: dict[str, int]
    can: tuple[str, ...]
    cannot: tuple[str, ...]

    @staticmethod
    def of(traces: Sequence[Trace], repeated: int, own: int) -> Imported:
        """Look at what was added."""
        agents: dict[str, int] = {}
        for trace in traces:
            agents[trace.agent] = agents.get(trace.agent, 0) + 1
        can, cannot = _use(traces)
        return Imported(len(traces), repeated, own, agents, tuple(can), tuple(cannot))

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count}" for name, count in self.agents.items())
        lines = [f"imported {self.added} handoffs{f' ({told})' if told else ''}"]
        if self.repeated:
            lines.append(f"{self.repeated} had been imported before")
        if self.own:
            lines.append(f"{self.own} are this node's own and were left out")
        lines += [f"can: {one}" for one in self.can]
        lines += [f"cannot: {one}" for one in self.cannot]
        return "\n".join(lines)


def _use(traces: Sequence[Trace]) -> tuple[list[str], list[str]]:
    if not traces:
        return [], []
    n = len(traces)
    chance = sum(one.propensity is not None for one in traces)
    chosen = sum(one.propensity is not None and one.propensity < 1 for one in traces)
    timed = sum(one.duration is not None for one in traces)
    valued = sum(one.quote is not None or one.end == TERMINAL for one in traces)
    grouped = sum(one.workflow is not None for one in traces)
    can = ["how often each action was taken where, and what reward it brought on average"]
    cannot = []
    if chance == 0:
        cannot.append(
            "the value of another policy: no propensity was logged, and none can be recovered "
            "afterwards; log with `observe` and some exploration from now on"
        )
    elif chosen == 0:
        cannot.append(
            "the value of another policy where it acts otherwise: every propensity is 1, so that "
            "nothing else was ever tried"
        )
    elif timed and valued:
        can.append(f"the value of another policy, from the {chosen} handoffs chosen by chance")
    if 0 < chance < n:
        cannot.append(f"anything weighted from the {n - chance} of {n} without a propensity")
    if timed < n:
        cannot.append(
            f"a discounted value from the {n - timed} of {n} without a duration: with gamma below "
            "1 their discount is unknown and is not guessed"
        )
    if valued < n:
        cannot.append(
            f"what {n - valued} of {n} were worth beyond their reward: they have no quote and did "
            "not end"
            + ("" if grouped == n else "; without `workflow` no later reward can be added to them")
        )
    if grouped == n and valued < n:
        can.append("returns of whole workflows, where all their handoffs are in the log")
    return can, cannot
