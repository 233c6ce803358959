"""The three terms of the bound, each measured, estimated and certified as far as can be.

Approximation, interface gap and residual add up to the distance of what was learnt from the
oracle's Q* (theory, sections 6 to 12). A certificate is proved; an estimate is not; what cannot be
had says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.errors import ModelError
from batonq.bound.approximation import Approximation, approximation
from batonq.bound.asymptotic import asymptotic
from batonq.bound.from_records import of_log, of_run
from batonq.bound.gap import Gap, covering, gap
from batonq.bound.lines import Figure, Term, Terms
from batonq.bound.neural import theorem_3
from batonq.bound.online import Setting, local_clocks
from batonq.bound.premises import attainable_range, check_range
from batonq.bound.residual import pair_numbers, watched
from batonq.bound.sandwich import Sandwich, sandwich
from batonq.icq import clocks
from batonq.icq.behaviour import EPSILON_GREEDY, Behaviour
from batonq.icq.clocks import Clock
from batonq.icq.log import Log
from batonq.icq.neural import STEP, Trained
from batonq.icq.observe import values_of
from batonq.icq.run import Run
from batonq.smdp.exact import evaluate
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform

HANDOFFS: Final = 1_000_000
UNIFORM: Final = Behaviour(EPSILON_GREEDY, 1.0)
NO_RUN: Final = "not available: give a run on this model"
EXACT: Final = "not available: computed exactly instead"
NETWORK_NOTES: Final = {  # attribute of an approximation: what it is
    "error_rms": "what the learnt networks lack of Qhat*",
    "flips": "share of gates flipped",
    "flips_bound": "which is at most",
    "linearisation_rms": "linearisation error",
    "radius_used": "share of the radius used",
    "drift": "drift at the learnt weights",
}


@dataclass(frozen=True, eq=False)
class Case:
    """A model under a behaviour, and perhaps a run on it: what every line is computed from."""

    model: FiniteICSMDP
    behaviour: Float[np.ndarray, "cell action"]
    gap: Gap
    run: Run | None
    nets: Trained | None
    delta: float

    def trained_by(self, learner: str, usual: Clock) -> tuple[Run, Clock]:
        """The run and its step sizes, `usual` if it named none.

        Raises:
            ModelError: unless it is of that learner, and run and case have the uniform behaviour:
                the theory is about one fixed behaviour.
        """
        if self.run is None:
            raise ModelError("give a run on this model")
        acted = Behaviour(*self.run.settings["behaviour"])
        evenly = np.allclose(self.behaviour, uniform(self.model))
        if self.run.learner != learner or acted != UNIFORM or not evenly:
            raise ModelError(f"only for '{learner}' under the uniform behaviour")
        given = self.run.settings["clock"]
        return self.run, usual if given is None else Clock(*given)


def bound(
    source: FiniteICSMDP | Run | Log,
    *,
    run: Run | Trained | None = None,
    behaviour: Float[np.ndarray, "cell action"] | None = None,
    handoffs: int = HANDOFFS,
    delta: float = 0.05,
    oscillation: float | None = None,
    scalars: int = 1,
    seed: int = 0,
) -> Terms:
    """The three terms of a model (and of a run on it), of a run alone, or of one agent's log.

    Args:
        source: a finite model: terms are exact and certificates come from a simulated play; a run:
            what its seeds tell; a log: what one agent can tell from its own records.
        run: with a model, a run on it, to be measured against the exact solution; what
            `neural.train_nets` returned holds the networks too, so that their approximation error
            is told apart.
        behaviour: of the model's exact terms; uniform by default. The run must have used it.
        handoffs: how many the certificate may use.
        delta: chance that the certificate fails, in (0, 1).
        oscillation: a declared bound h on what a cell hides; behind an interface that is not
            exact there is no certificate without it.
        scalars: 1 or 2 scalars a handoff in the certificate's play.
        seed: of that play.

    Raises:
        ModelError: for a model, run or option that cannot be right.
        DataError: for a log with too little in it.
    """
    if isinstance(source, Log):
        return of_log(source)
    if isinstance(source, Run):
        return of_run(source)
    _check(source, run)
    for name, value, good, wanted in (
        ("handoffs", handoffs, handoffs >= 1, "1 or more"),
        ("delta", delta, 0 < delta < 1, "a number in (0, 1)"),
        ("scalars", scalars, scalars in (1, 2), "1 or 2"),
        ("seed", seed, seed >= 0, "0 or more"),
        ("oscillation", oscillation or 0, 0 <= (oscillation or 0) < np.inf, "a number >= 0"),
    ):
        if not good:
            raise ModelError(f"bound: {name} is {value}; give {wanted}")
    chances = covering(source, uniform(source) if behaviour is None else behaviour)
    nets = run if isinstance(run, Trained) else None
    found = gap(source, chances)
    case = Case(source, chances, found, run.run if isinstance(run, Trained) else run, nets, delta)

    def certificate() -> Sandwich:
        return sandwich(
            source,
            handoffs=handoffs,
            delta=delta,
            oscillation=oscillation,
            scalars=scalars,
            seed=seed,
        )

    try:
        sure: Sandwich | str = certificate()
    except ModelError as error:
        sure = f"not available: {error}"
    return _of_model(case, sure)


def _check(source: object, run: object) -> None:
    """Raise a ModelError unless there is a model, and a run of this very model if any."""
    if not isinstance(source, FiniteICSMDP):
        raise ModelError(
            f"bound: got a {type(source).__name__}; give a finite model, a run, or the log of one "
            "agent (observe returns a log for each)"
        )
    if not isinstance(run, Run | Trained | None):
        raise ModelError(f"bound: run is a {type(run).__name__}; give what train returned")
    settings = run.run.settings if isinstance(run, Trained) else run.settings if run else {}
    if settings.get("model", source.digest) != source.digest:
        raise ModelError(
            "bound: the run was trained on another model, or behind another interface; give the "
            "model it was trained on"
        )


def _of_model(case: Case, sure: Sandwich | str) -> Terms:
    """Every line of a finite model; `sure` is Theorem S, or why it is not available."""
    model, found = case.model, case.gap
    residual, total, loss = _measured(case)
    spread = _or_reason(lambda: _expected(case))
    expected = spread
    if spread.value is not None:
        both = float(np.hypot(spread.value, found.rms))
        expected = Figure(both, note="root of the sum of squares of gap and residual")
    width, lost = _certified(sure)
    reason = Figure(None, note=EXACT)
    return Terms(
        f"a model of {model.n_states} states, {model.n_cells} cells, {model.n_agents} agents",
        (
            _approximation(case),
            Term(
                "interface gap",
                Figure(found.rms, note="|Q* - Qhat*| in L2(mu), exact"),
                reason,
                Figure(found.resolvent, note="largest |Q* - Qhat*|, by the signed resolvent"),
            ),
            Term("residual", residual, spread, _or_reason(lambda: _recursion(case))),
            Term("total", total, expected, width),
            Term("policy loss", loss, reason, lost),
        ),
        sure.assumptions if isinstance(sure, Sandwich) else (),
    )


def _approximation(case: Case) -> Term:
    """A table has none; networks are measured, and Theorem 3 printed where it applies."""
    if case.run is None or not case.run.learner.startswith("icq_neural"):
        table = Figure(0.0, note="values are a table")
        return Term("approximation", table, Figure(None, note=EXACT), Figure(0.0))
    if case.nets is None:
        none = Figure(None, note="not available: give what neural.train_nets returned as `run`")
        return Term("approximation", none, none, none)
    nets, model = case.nets, case.model
    each = [approximation(model, one, nets.inputs, case.behaviour) for one in nets.networks]
    means = {name: np.mean([getattr(one, name) for one in each]) for name in NETWORK_NOTES}
    told = ", ".join(f"{text} {means[name]:.3g}" for name, text in NETWORK_NOTES.items())
    measured = _over_seeds(
        [one.best_fit_rms for one in each],
        f"best fit of linearised networks in their balls, L2(mu); {told} (a diagnostic)",
    )
    certificate = _or_reason(lambda: _theorem_3(case, each[0]))
    return Term("approximation", measured, Figure(None, note=EXACT), certificate)


def _theorem_3(case: Case, measured: Approximation) -> Figure:
    """The network terms of Theorem 3 for the first seed, given its start."""
    run, clock = case.trained_by("icq_neural", STEP)
    if clock.rate != 0:
        raise ModelError("Theorem 3 is for on-line networks with a constant step")
    found = theorem_3(
        case.model,
        case.behaviour,
        measured,
        step=clocks.size(clock, 1),
        handoffs=int(run.settings["handoffs"]),
        interface=case.gap,
    )
    if isinstance(found, str):
        raise ModelError(found)
    networks = found.linearisation + found.best_fit + found.flips
    return Figure(
        networks,
        note=f"Theorem 3, mean over the way, given the start: linearisation "
        f"{found.linearisation:.3g}, best fit {found.best_fit:.3g}, flips {found.flips:.3g}; its "
        f"residual {found.residual:.3g}",
    )


def _or_reason(make: Callable[[], Figure]) -> Figure:
    """A figure, or why it is not available."""
    try:
        return make()
    except ModelError as error:
        told = str(error)
        return Figure(None, note=told if "not available" in told else f"not available: {told}")


def _certified(sure: Sandwich | str) -> tuple[Figure, Figure]:
    """Theorem S: for the total and for the loss of its policy."""
    if isinstance(sure, str):
        return Figure(None, note=sure), Figure(None, note=sure)
    low, high = sure.range
    how = (
        f"Theorem S, {sure.handoffs} handoffs with {sure.scalars} scalar(s), delta {sure.delta:g}, "
        f"targets in [{low:.4g}, {high:.4g}]"
    )
    if 2 * sure.half_width >= high - low:
        how += "; vacuous: give more handoffs"
    return (
        Figure(sure.half_width, note=f"largest |middle of the sandwich - Q*|: {how}"),
        Figure(sure.initial_loss, note=f"from the initial law, of the sandwich's policy: {how}"),
    )


def _measured(case: Case) -> tuple[Figure, Figure, Figure]:
    """Distances of a run's tables from Qhat* and Q*, and the loss of its greedy policy."""
    model, found, run = case.model, case.gap, case.run
    if run is None:
        none = Figure(None, note=NO_RUN)
        lost = max(0.0, float(model.initial @ found.loss))  # rounding may leave less
        return none, none, Figure(lost, note="of the policy greedy in Qhat*, from the initial law")
    visits = found.visits
    apart: list[float] = []
    away: list[float] = []
    lost_by: list[float] = []
    best = float(model.initial @ found.optimal.value)
    for seed in range(run.seeds):
        q = values_of(run, model, seed)
        own = np.where(model.mask, q[model.cell], 0.0)
        for kept, wanted in (
            (apart, found.aggregated.q[model.cell]),
            (away, found.optimal.q),
        ):
            error = np.subtract(own, wanted, out=np.zeros(own.shape), where=model.mask)
            kept.append(float(np.sqrt((visits * error**2).sum())))
        greedy = np.where(model.cell_mask, q, -np.inf).argmax(axis=1)[model.cell]
        lost_by.append(best - float(model.initial @ evaluate(model, greedy).value))
    return (
        _over_seeds(apart, "|Q_T - Qhat*| in L2(mu)"),
        _over_seeds(away, "|Q_T - Q*| in L2(mu)"),
        _over_seeds(lost_by, "of the run's greedy policy, from the initial law"),
    )


def _over_seeds(values: list[float], note: str) -> Figure:
    from scipy import stats

    if len(values) < 2 or np.ptp(values) == 0:
        return Figure(float(np.mean(values)), note=f"{note}, {len(values)} seed(s)")
    ends = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return Figure(
        float(np.mean(values)), float(ends.low), float(ends.high), f"{note}, {len(values)} seeds"
    )


def _expected(case: Case) -> Figure:
    """Expected size of the residual of a run, by the asymptotic law."""
    run, clock = case.trained_by("icq", clocks.rescaled_linear(case.model.contraction))
    law = asymptotic(case.model, case.behaviour, case.gap)
    rms = law.scatter(clock, int(run.settings["handoffs"])).rms
    return Figure(rms, note="asymptotic law of the run's step sizes; never a guarantee")


def _recursion(case: Case) -> Figure:
    """Theorem 1 along the run's own order of updates; eta and beta are those of the model."""
    model, found = case.model, case.gap
    run, clock = case.trained_by("icq", clocks.rescaled_linear(model.contraction))
    if not run.traces:
        raise ModelError("needs the order of updates; train(..., record=True)")
    initial, (low, high) = float(run.settings["initial"]), attainable_range(model)
    low, high = min(low, initial), max(high, initial)
    check_range(model, low, high)
    numbers = pair_numbers(model.cell_mask)
    setting = Setting(
        width=high - low,
        n_pairs=int(numbers.max()) + 1,
        handoffs=len(run.traces[0]),
        delta=case.delta / run.seeds,
        residual=0.0 if found.exact else found.residual_sup,
        span=0.0 if found.exact else watched(model, case.behaviour, found).span,
    )
    start = float(np.abs(found.aggregated.q[model.cell_mask] - initial).max())
    ends = [
        local_clocks(
            setting, clock, model.contraction, numbers[trace["cell"], trace["action"]], start
        )[-1]
        for trace in run.traces
    ]
    note = f"largest |Q_T - Qhat*|: Theorem 1 for local clocks, delta {case.delta:g} over all seeds"
    if max(ends) >= high - low:
        note += "; vacuous"
    return Figure(float(max(ends)), note=f"{note}; known from the model, not from data")
