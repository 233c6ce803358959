"""Hard limits: what a decision may not do, whatever the values say; applied before the policy."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from batonq.base.errors import ModelError
from batonq.base.files import Json

END: Final = "end"  # the action and target that end a workflow
REMEMBERED: Final = 100_000  # workflows whose tally is kept; the oldest are forgotten first

Costs = Mapping[str, float]  # unit -> amount, such as {"tokens": 812, "usd": 0.003}


@dataclass(frozen=True)
class Limits:
    """Limits per workflow; None or empty: no limit. They need the `workflow` of each decision.

    Attributes:
        hops: decisions that hand on, at most.
        visits: how often one agent may be handed to, at most.
        budget: by unit, how much may be spent: costs settled so far plus what an action is said
            to cost.

    Raises:
        ModelError: for a negative limit.
    """

    hops: int | None = None
    visits: int | None = None
    budget: Costs = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (("hops", self.hops), ("visits", self.visits), *self.budget.items()):
            if value is not None and not 0 <= value < math.inf:
                raise ModelError(f"limits: {name} is {value:g}; give 0 or more")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.hops is not None or self.visits is not None or bool(self.budget)


@dataclass
class Tally:
    """What one workflow used up, as far as one agent's own decisions tell."""

    hops: int = 0
    visits: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)


class Tallies:
    """Tallies of the workflows now running, by name."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, Tally] = OrderedDict()

    def get(self, workflow: str) -> Tally | None:
        """The tally of a workflow, if any."""
        return self._of.get(workflow)

    def handed(self, workflow: str, agent: str, target: str) -> None:
        """Count a decision."""
        tally = self._open(workflow)
        if target not in (agent, END):
            tally.hops += 1
            tally.visits[target] = tally.visits.get(target, 0) + 1

    def paid(self, workflow: str, costs: Costs) -> None:
        """Count what an outcome cost."""
        tally = self._open(workflow)
        for unit, amount in costs.items():
            tally.spent[unit] = tally.spent.get(unit, 0.0) + amount

    def ended(self, workflow: str) -> None:
        """Forget a workflow."""
        self._of.pop(workflow, None)

    def _open(self, workflow: str) -> Tally:
        tally = self._of.get(workflow)
        if tally is None:
            tally = self._of[workflow] = Tally()
            if len(self._of) > REMEMBERED:
                self._of.popitem(last=False)
        return tally

    def to_json(self) -> Json:
        """All of it."""
        return {name: [one.hops, one.visits, one.spent] for name, one in self._of.items()}

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        self._of = OrderedDict((name, Tally(*parts)) for name, parts in state.items())


def masked(
    actions: Mapping[str, str],
    agent: str,
    limits: Limits,
    used: Collection[Tally],
    *,
    hops: int | None = None,
    veto: Collection[str] = (),
    costs: Mapping[str, Costs] | None = None,
    quarantined: Collection[str] = (),
) -> dict[str, str]:
    """Actions that are not permitted, each with the reason.

    Args:
        actions: action -> target.
        agent: who decides.
        limits: of every workflow.
        used: tallies of this workflow.
        hops: hops so far as the caller counts them, instead of the tallies' own.
        veto: actions or targets the caller rules out.
        costs: what each action is expected to cost.
        quarantined: targets not to be trusted now.
    """
    why: dict[str, str] = {}
    made = sum(one.hops for one in used) if hops is None else hops
    for action, target in actions.items():
        onward = target not in (agent, END)
        if action in veto or target in veto:
            why[action] = "vetoed by the caller"
        elif target in quarantined:
            why[action] = f"'{target}' is quarantined"
        elif onward and limits.hops is not None and made >= limits.hops:
            why[action] = f"hop limit {limits.hops} reached"
        elif onward and limits.visits is not None:
            seen = sum(one.visits.get(target, 0) for one in used)
            if seen >= limits.visits:
                why[action] = f"'{target}' was visited {seen} times"
        if action not in why:
            over = _over(limits.budget, used, (costs or {}).get(action, {}))
            if over and target != END:
                why[action] = over
    return why


def _over(budget: Costs, used: Collection[Tally], costs: Costs) -> str:
    for unit, limit in budget.items():
        spent = sum(one.spent.get(unit, 0.0) for one in used)
        more = costs.get(unit, 0.0)
        if spent + more > limit or (more == 0.0 and spent >= limit):
            return f"budget of {limit:g} {unit}: {spent:g} spent, {more:g} more expected"
    return ""
