"""The lines the static scenario has to reach, each with the figures that decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.study.rows import Interval
from batonq.study.tables import text
from batonq.tasks.maths.board import CENTS
from batonq.tasks.maths.frontier import above_line
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.records import SINGLE, Key
from batonq.tasks.maths.statistics import Means, means

MARGIN: Final = -0.01  # non-inferior: less than one point lost, with 97.5 % confidence
BUDGET: Final = 0.95  # of the rule's cost in training, to keep within it on held-out questions
TRAINED: Final = 0.995  # share of the exact optimum that training has to reach
ROUNDING: Final = 1e-9  # a lead in accuracy not above it is none
CENTRALISED: Final = ("centralised_features", "centralised_joint")
PEERS: Final = (
    "best_single",
    "majority",
    "weighted_vote",
    "agreement",
    "cascade",
    "fixed",
    "bandit",
    "text_router",
)


@dataclass(frozen=True)
class Line:
    """One line to reach.

    Attributes:
        kind: "non-inferior", "same price", "frontier", "training", "level" or "singles".
        price: the lambda it is about; None for all of them.
        what: what is compared.
        figure: the deciding figure.
        wanted: the condition, in words.
        reached: whether it holds.
        detail: the figures behind it.
    """

    kind: str
    price: float | None
    what: str
    figure: Interval
    wanted: str
    reached: bool
    detail: str


@dataclass(frozen=True, eq=False)
class Pooled:
    """All folds of one pool and parse.

    Attributes:
        outcomes: held-out outcomes of everyone.
        cells: the folds' outputs.
        interface: the interface the main comparison is made behind.
    """

    outcomes: Mapping[Key, Outcome]
    cells: Sequence[Json]
    interface: str

    @property
    def unit(self) -> str:
        """Unit of cost."""
        return str(self.cells[0].get("unit", CENTS))  # folds of earlier versions do not tell it

    @property
    def singles(self) -> dict[str, Outcome]:
        """Outcomes of always asking one call, by the call's name; empty where they are not kept."""
        return {key.interface: one for key, one in self.outcomes.items() if key.learner == SINGLE}

    def of(self, learner: str, price: float, interface: str | None = None) -> Outcome:
        """The outcome of a learner behind an interface (the main one), or of a peer."""
        own = Key(learner, interface or self.interface, price)
        return self.outcomes[own if own in self.outcomes else Key(learner, "board", price)]

    def utility(self, learner: str, price: float, interface: str | None = None) -> Means:
        """Mean utility at a price."""
        return means(self.of(learner, price, interface).utility(price))

    def reference(self, price: float) -> str:
        """The better centralised learner at a price."""
        return max(CENTRALISED, key=lambda name: self.utility(name, price).value)

    def in_sample(
        self, learner: str, price: float, interface: str | None = None, what: str = "utility"
    ) -> float:
        """Mean utility (or what else was kept) on the training questions, over folds."""
        key = (learner, interface or self.interface, price)
        found = [
            one[what]
            for cell in self.cells
            for one in cell["trained"]
            if (one["learner"], one["interface"], one["price"]) == key
        ]
        return float(np.mean(found))


def within_budget(pooled: Pooled, prices: Sequence[float], rule_price: float) -> float:
    """The smallest lambda at which IC-Q spends less in training than the rule, by 5 %.

    So the comparison at no more cost needs no look at the held-out questions. The dearest lambda
    if none is.
    """
    budget = BUDGET * pooled.in_sample("agreement", rule_price, "board", "cost")
    for price in sorted(prices):
        if pooled.in_sample("icq", price, what="cost") <= budget:
            return price
    return max(prices)


def non_inferior(pooled: Pooled, prices: Sequence[float], rule_price: float) -> Line:
    """IC-Q, within the budget of a rule, against that rule, both chosen on the training folds."""
    price = within_budget(pooled, prices, rule_price)
    icq, rule = pooled.of("icq", price), pooled.of("agreement", rule_price)
    difference = (means(icq.right) - means(rule.right)).interval()
    cheaper = float(icq.cost.mean()) <= float(rule.cost.mean())
    chosen = "accuracy" if rule_price == 0 else f"utility at lambda {rule_price:g}"
    return Line(
        "non-inferior",
        price,
        f"accuracy of IC-Q (lambda {price:g}) minus that of the best rule for {chosen}",
        difference,
        "lower limit above -0.01, at no more cost",
        _above(difference, MARGIN) and cheaper,
        f"{_told(icq, pooled.unit)}; the rule {_told(rule, pooled.unit)}",
    )


def same_price(pooled: Pooled, price: float) -> Line:
    """IC-Q against the rule chosen on the training folds for utility at the same lambda."""
    icq, rule = pooled.of("icq", price), pooled.of("agreement", price)
    difference = (pooled.utility("icq", price) - pooled.utility("agreement", price)).interval()
    return Line(
        "same price",
        price,
        f"utility of IC-Q minus that of the rule chosen for it, both at lambda {price:g}",
        difference,
        "lower limit above -0.01",
        _above(difference, MARGIN),
        f"{_told(icq, pooled.unit)}; the rule {_told(rule, pooled.unit)}",
    )


def frontier(pooled: Pooled, prices: Sequence[float]) -> Line:
    """The worst difference in utility between IC-Q and any peer at any price."""
    worst: tuple[float, str, float, Interval] | None = None
    for price in prices:
        icq = pooled.utility("icq", price)
        for peer in PEERS:
            gap = (icq - pooled.utility(peer, price)).interval()
            high = gap.value if gap.high is None else gap.high
            if worst is None or high < worst[0]:
                worst = (high, peer, price, gap)
    assert worst is not None  # noqa: S101 - there is always a price
    high, peer, price, gap = worst
    return Line(
        "frontier",
        None,
        "frontier: utility of IC-Q minus a peer's, where its upper limit is lowest",
        gap,
        "upper limit not below 0 at any lambda",
        high >= 0,
        f"{peer} at lambda {price:g}; {len(PEERS)} peers at {len(prices)} values of lambda",
    )


def between_singles(pooled: Pooled, prices: Sequence[float]) -> Line:
    """IC-Q against drawing lots between two single models, where it is surest to be above."""
    singles = list(pooled.singles.values())
    policies = [pooled.of("icq", price) for price in prices]
    gaps = above_line(policies, singles)
    low = [gap.value if gap.low is None else gap.low for gap in gaps]
    above = sum(one > ROUNDING for one in low)
    best = int(np.argmax(low))
    return Line(
        "singles",
        prices[best],
        "accuracy of IC-Q minus that of drawing lots between two single models at the same mean "
        "cost, where its lower limit is highest",
        gaps[best],
        f"lower limit above 0 at some lambda, the {len(prices)} limits holding together",
        above > 0,
        f"lambda {prices[best]:g}: {_told(policies[best], pooled.unit)}; the line "
        f"{policies[best].right.mean() - gaps[best].value:.4f}; above "
        f"it at {above} of {len(prices)} values of lambda",
    )


def training(pooled: Pooled, price: float) -> Line:
    """The table trained by the kernel against the exact optimum of its cells, in-sample."""
    tables = [one for cell in pooled.cells for one in cell["tables"] if one["learner"] == "icq"]
    reached = [value for one in tables if one["price"] == price for value in one["trained"]]
    interface = tables[0]["interface"]
    optimum = pooled.in_sample("feasible", price, interface)
    ratio = float(np.mean(reached)) / optimum
    return Line(
        "training",
        price,
        f"training: value of the table over the exact optimum, in-sample (lambda {price:g})",
        Interval(ratio),
        "at least 0.995",
        ratio >= TRAINED,
        f"{np.mean(reached):.4f} of {optimum:.4f}; linear IC-Q behind the same interface "
        f"{pooled.in_sample('icq', price, interface):.4f}",
    )


def recovered(pooled: Pooled, price: float, interface: str) -> tuple[Interval, Interval]:
    """IC-Q behind an interface against the better centralised learner.

    Returns:
        The share it recovers of the reference's gain over the best single model, and its utility
        minus the reference's.
    """
    single, reference = pooled.utility("best_single", price), pooled.reference(price)
    central = pooled.utility(reference, price)
    icq = pooled.utility("icq", price, interface)
    return (icq - single).over(central - single), (icq - central).interval()


def level(pooled: Pooled, price: float, interface: str) -> Line:
    """IC-Q against the better centralised learner, as a line to reach."""
    ratio, gap = recovered(pooled, price, interface)
    return Line(
        "level",
        price,
        f"IC-Q behind {interface} minus the better centralised learner, utility (lambda {price:g})",
        gap,
        "lower limit above -0.01",
        _above(gap, MARGIN),
        f"{pooled.reference(price)}, the better on these very questions; recovered share of its "
        f"gain over the best single model {text(ratio)}",
    )


def all_lines(pooled: Pooled, prices: Sequence[float], reported: Sequence[float]) -> list[Line]:
    """Every line of one pool and parse."""
    has_tables = any(cell["tables"] for cell in pooled.cells)
    interfaces = dict.fromkeys((pooled.interface, "answers"))
    return [
        non_inferior(pooled, prices, 0.0),
        *(non_inferior(pooled, prices, price) for price in reported),
        *(same_price(pooled, price) for price in reported),
        frontier(pooled, prices),
        *([between_singles(pooled, prices)] if pooled.singles else []),
        *(training(pooled, price) for price in reported if has_tables),
        *(level(pooled, price, name) for name in interfaces for price in reported),
    ]


def _above(figure: Interval, limit: float) -> bool:
    return (figure.value if figure.low is None else figure.low) > limit


def _told(outcome: Outcome, unit: str) -> str:
    return (
        f"{outcome.right.mean():.4f} at {outcome.cost.mean():.4f} {unit}, "
        f"{outcome.calls.mean():.2f} calls"
    )
