"""What an off-policy evaluation found, in words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from batonq.base.files import Json
from batonq.bound.assumption import Assumption
from batonq.bound.lines import Figure


@dataclass(frozen=True)
class Line:
    """What one estimator says.

    Attributes:
        estimator: "dr", "snips" or "fqe".
        value: of the policy, with its interval; or why there is none.
        difference: policy less behaviour, on the same segments.
    """

    estimator: str
    value: Figure
    difference: Figure


@dataclass(frozen=True)
class OffPolicy:
    """What another policy of one agent would be worth. Estimates, never certificates.

    Attributes:
        agent: whose policy.
        confidence: of every interval.
        n: segments.
        decisions: in them.
        dropped: segments left out since they have no outcome or quote yet.
        ess: effective number of segments; what the policy's own records would have to be to tell
            as much.
        largest: largest share of one segment in all weight.
        behaviour: what the agent's own behaviour was worth.
        lines: of each estimator asked for.
        assumptions: what the intervals rest on.
    """

    agent: str
    confidence: float
    n: int
    decisions: int
    dropped: int
    ess: float
    largest: float
    behaviour: Figure
    lines: tuple[Line, ...]
    assumptions: tuple[Assumption, ...]

    @property
    def best(self) -> Line:
        """The first line that has a value."""
        return next(line for line in self.lines if line.value.value is not None)

    @property
    def value(self) -> float:
        """Of the policy, by the first estimator that has one."""
        return float(self.best.value.value or 0.0)

    @property
    def low(self) -> float:
        """Lower end of its interval."""
        return float(self.best.value.low or 0.0)

    @property
    def high(self) -> float:
        """Upper end of its interval."""
        return float(self.best.value.high or 0.0)

    @property
    def difference(self) -> Figure:
        """Policy less behaviour, by the same estimator."""
        return self.best.difference

    def __getitem__(self, estimator: str) -> Line:
        return next(line for line in self.lines if line.estimator == estimator)

    def __str__(self) -> str:
        rows = [("", "value", "less behaviour"), ("behaviour", str(self.behaviour), "")]
        notes = []
        for line in self.lines:
            rows.append((line.estimator, str(line.value), str(line.difference)))
            if line.value.value is None:
                notes.append(f"{line.estimator}: {line.value.note}")
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        told = [
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows
        ]
        head = (
            f"agent '{self.agent}': {self.n} segments of {self.decisions} decisions, effective "
            f"sample {self.ess:.1f}, largest weight {self.largest:.1%}; "
            f"{self.confidence:.0%} intervals"
        )
        assumed = [f"assumed, {one.status}: {one.name} ({one.note})" for one in self.assumptions]
        return "\n".join([head, *told, *notes, *assumed])

    def document(self) -> dict[str, Json]:
        """The same as JSON."""
        return {
            **{
                name: getattr(self, name)
                for name in ("agent", "confidence", "n", "decisions", "dropped", "ess", "largest")
            },
            "behaviour": vars(self.behaviour),
            "lines": [
                {
                    "estimator": line.estimator,
                    "value": vars(line.value),
                    "difference": vars(line.difference),
                }
                for line in self.lines
            ],
            "assumptions": [vars(one) for one in self.assumptions],
        }
