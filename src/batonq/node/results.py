"""What a node answers: a decision, what settling it did, a quote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Decision(NamedTuple):
    """To whom an agent hands off, and why.

    Attributes:
        id: the handoff's `handoff_id`; settle and finish take it.
        agent: who decided.
        action: label of the option chosen.
        target: the agent it leads to; "end" ends the workflow.
        propensity: chance with which it was chosen, in (0, 1].
        values: what each permitted action was thought to be worth.
        masked: actions ruled out before the policy, each with the reason.
        explored: whether it differs from the action of largest value by chance.
        mode: "observe", "apply" or "bypass".
        version: number of the policy's version that answered; 0 before the first promotion.
        logged: whether it is stored; if not, settling it does nothing.
        note: what else there is to say, such as a failure; "" if nothing.
    """

    id: str
    agent: str
    action: str
    target: str
    propensity: float
    values: Mapping[str, float]
    masked: Mapping[str, str]
    explored: bool
    mode: str
    version: int
    logged: bool
    note: str = ""

    @property
    def why(self) -> str:
        """The reason in one sentence."""
        if self.note:
            return self.note
        if self.mode == "observe":
            reason = "observe mode: the default is taken and learnt from"
            best = max(self.values, key=lambda one: self.values[one], default=self.action)
            if best != self.action:
                reason += f"; '{best}' is thought better"
        elif len(self.values) == 1:
            reason = "the only one permitted"
        elif self.explored:
            reason = f"explored, chance {self.propensity:.3g}"
        elif self.values and self.values[self.action] < max(self.values.values()):
            reason = "the default, outside the canary share"
        else:
            reason = "the largest value of those permitted"
        if self.masked:
            told = ", ".join(f"{name}: {why}" for name, why in self.masked.items())
            reason += f"; not permitted: {told}"
        return reason

    def document(self) -> dict[str, object]:
        """As JSON, `why` included."""
        return {**self._asdict(), "why": self.why}


class Settled(NamedTuple):
    """What settling a handoff did.

    Attributes:
        handoff_id: of which handoff.
        learnt: whether it has been learnt from, now or before.
        waiting: whether it waits for the receiver's quote.
        quote: the receiver's value that counted; None if there is none.
        value: the agent's value of the pair afterwards; None if nothing was learnt now.
        repeated: whether the same had been settled before, so that nothing was done.
    """

    handoff_id: str
    learnt: bool
    waiting: bool
    quote: float | None
    value: float | None
    repeated: bool


class Quote(NamedTuple):
    """The one scalar, as the receiver gives it.

    Attributes:
        handoff_id: of which handoff.
        value: what the code means; what the sender will learn from.
        code: number that crosses; None if the exact value does.
        bits: how many the scalar has.
    """

    handoff_id: str
    value: float
    code: int | None
    bits: int
