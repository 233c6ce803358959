"""What the terms of the bound are told in: figures with their notes, one line a term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.base.files import Json
from batonq.bound.assumption import Assumption

NAMES: Final = ("approximation", "interface gap", "residual", "total", "policy loss")
KINDS: Final = ("measured", "estimate", "certificate")


@dataclass(frozen=True)
class Figure:
    """A number with what it is, or the reason why there is none.

    Attributes:
        value: the number; None if it is not available.
        low: lower end of its 95 % interval, where it has one.
        high: upper end.
        note: what was computed and how, or "not available: reason".
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.4g}"
        return f"{self.value:.4g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Term:
    """One line of the bound.

    Attributes:
        name: one of `NAMES`.
        measured: against the exact solution of a model.
        estimate: from data or by an asymptotic law; never a guarantee.
        certificate: proved.
    """

    name: str
    measured: Figure
    estimate: Figure
    certificate: Figure


@dataclass(frozen=True)
class Terms:
    """The three terms, their total, and the loss of the policy deployed.

    Attributes:
        of: what they are of.
        terms: one line each, in the order of `NAMES`.
        assumptions: what certificates and estimates rest on, and whether it holds.
    """

    of: str
    terms: tuple[Term, ...]
    assumptions: tuple[Assumption, ...]

    def __getitem__(self, name: str) -> Term:
        return next(term for term in self.terms if term.name == name)

    def __str__(self) -> str:
        notes: dict[str, int] = {}
        rows: list[tuple[str, ...]] = [("", *KINDS)]
        rows += [
            (term.name, *(self._shown(getattr(term, kind), notes) for kind in KINDS))
            for term in self.terms
        ]
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [self.of]
        lines += [
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows
        ]
        lines += [f"({number}) {note}" for note, number in notes.items()]
        lines += [f"assumed, {one.status}: {one.name} ({one.note})" for one in self.assumptions]
        return "\n".join(lines)

    @staticmethod
    def _shown(figure: Figure, notes: dict[str, int]) -> str:
        """A figure with the number of its note, which is added if it is new."""
        if not figure.note:
            return str(figure)
        return f"{figure} ({notes.setdefault(figure.note, len(notes) + 1)})"

    def document(self) -> dict[str, Json]:
        """The terms as JSON."""
        return {
            "of": self.of,
            "terms": [
                {"term": term.name, **{kind: vars(getattr(term, kind)) for kind in KINDS}}
                for term in self.terms
            ],
            "assumptions": [vars(one) for one in self.assumptions],
        }
