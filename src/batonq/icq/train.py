"""train: the one entry to learning, for a finite model and for a Python environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from batonq.base.errors import ModelError
from batonq.base.machine import cores
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import Behaviour, uniform
from batonq.icq.clocks import Clock
from batonq.icq.environment import Environment
from batonq.icq.episodes import train_episodes
from batonq.icq.finite import train_finite
from batonq.icq.floor import Exchange, MakeQ, as_it_is
from batonq.icq.networks import Net
from batonq.icq.neural import train_networks
from batonq.icq.run import Run
from batonq.icq.settings import Settings
from batonq.icq.variants import Variant, train_late
from batonq.smdp.model import FiniteICSMDP


def _quiet(_handoffs: int) -> None:
    pass


def train(
    source: FiniteICSMDP | Environment,
    *,
    learner: str = "icq",
    sight: Literal["features", "joint"] | None = None,
    handoffs: int,
    seeds: int = 1,
    seed: int = 0,
    behaviour: Behaviour | None = None,
    clock: Clock | None = None,
    phases: int | None = None,
    initial: float = 0.0,
    start: Run | None = None,
    points: int = 20,
    record: bool = False,
    workers: int | None = None,
    net: Net | None = None,
    variant: Variant | None = None,
    make_q: MakeQ | None = None,
    exchange: Exchange | None = None,
    progress: Callable[[int], None] = _quiet,
) -> Run:
    """Let agents learn when and to whom to hand off.

    Args:
        source: a finite model (compiled, seeds in parallel threads) or an `Environment`.
        learner: "icq", "icq_phased" (quotes from tables frozen during a phase), "icq_late" (quotes
            given late, see `variants`; for finite models), "icq_neural", "icq_neural_phased",
            "centralised", "no_scalar", "monte_carlo" or "random".
        sight: of the centralised learner: "features" (default; one table over what the holders
            see) or "joint" (one table over the joint state).
        handoffs: decision epochs per seed, at least 1.
        seeds: independent repetitions, at least 1.
        seed: the same seed gives the same numbers, whatever `workers` is.
        behaviour: how agents act while learning; uniform by default, as the theory wants it fixed.
        clock: step sizes; by default `clocks.rescaled_linear` with the model's contraction (an
            environment's gamma), sample means for frozen answers and Monte Carlo, and
            `neural.STEP` for networks.
        phases: number of phases of a phased learner; by default enough for beta**phases < 1 %.
        initial: value of everything at the start.
        start: a run of the same learner to go on from, seed by seed, with its tables and local
            clocks; the model may have changed, its agents and cells not. For finite models.
        points: how often to evaluate the greedy policy, evenly spread (a phased run: per phase).
        record: keep every agent's own records (`Run.handoffs`).
        workers: threads for the seeds of a finite model; by default one per processor.
        net: of "icq_neural" and "icq_neural_phased" on a finite model: width, radius, features.
        variant: of "icq_late": how late, how far returns reach, a count bonus, averaging.
        make_q: for an environment, makes an agent's Q-function from (name, number of actions);
            tabular by default.
        exchange: for an environment, what happens to the scalar on its way, such as rounding.
        progress: called with the number of handoffs done since its last call.

    Returns:
        The run: tables, learning curve, records.

    Raises:
        ModelError: for a setting, model or environment that cannot be right.
    """
    chosen = learner_named(learner, sight)
    settings = Settings(
        handoffs=handoffs,
        seeds=seeds,
        seed=seed,
        behaviour=uniform() if behaviour is None else behaviour,
        clock=clock,
        phases=phases,
        initial=initial,
        points=points,
        record=record,
        workers=cores() if workers is None else workers,
    )
    if not isinstance(source, FiniteICSMDP) and chosen.neural:
        raise ModelError(
            f"learner: '{chosen.name}' is for finite models; on an environment, use 'icq' or "
            "'icq_phased' with make_q making a NeuralQ"
        )
    if net is not None and not chosen.neural:
        raise ModelError(f"net: learner '{chosen.name}' has no networks; use 'icq_neural'")
    if not isinstance(source, FiniteICSMDP) and chosen.late:
        raise ModelError(f"learner: '{chosen.name}' is for finite models; use 'icq'")
    if variant is not None and not chosen.late:
        raise ModelError(f"variant: learner '{chosen.name}' has none; use 'icq_late'")
    if isinstance(source, FiniteICSMDP):
        if make_q is not None or exchange is not None:
            raise ModelError(
                "make_q and exchange are for environments; wrap the model in ModelEnvironment"
            )
        if start is not None and (chosen.neural or chosen.late):
            raise ModelError(
                f"start: learner '{chosen.name}' cannot go on from the tables of a run; they are "
                "not all that it needs"
            )
        if chosen.late:
            return train_late(source, chosen, settings, variant or Variant(), progress)
        if chosen.neural:
            return train_networks(source, chosen, settings, net or Net(), progress).run
        return train_finite(source, chosen, settings, progress, start)
    if start is not None:
        raise ModelError("start: only training on a finite model can go on from a run")
    return train_episodes(source, chosen, settings, progress, make_q, exchange or as_it_is)
