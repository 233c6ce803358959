"""The interface gap of an instance: exact, as trained tables have it, and the bound's terms."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.files import Json
from batonq.bound.gap import Gap, gap
from batonq.bound.lines import Figure
from batonq.bound.premises import attainable_range, oscillation
from batonq.bound.terms import bound
from batonq.icq.observe import values_of
from batonq.icq.run import Run
from batonq.icq.train import train
from batonq.smdp.exact import evaluate
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform
from batonq.tasks.routing.triage import settings
from batonq.tasks.routing.triage.model import INTERFACES, triage
from batonq.tasks.routing.triage.policies import posed

ROUNDING: Final = 1e-9  # by which a computed oscillation is declared larger


def gaps(size: int, number: int, seeds: int, seed: int, quick: bool) -> dict[str, Json]:
    """Predicted and realised gap behind every interface, under the uniform behaviour.

    Predicted: Q* - Qhat* o psi, by exact solution. Realised: what the tables of IC-Q differ from
    Q* by after so many handoffs, from a start at 0 and with the default steps. At least
    `settings.GAP_SEEDS` seeds are run, as their errors are multiplied with each other's.
    """
    problem = triage(posed(size, seed, number).problem.instance, senders=True)
    found: dict[str, Json] = {"states": problem.model.n_states}
    for interface in INTERFACES:
        model = problem.seen(interface)
        exact = gap(model, uniform(model))
        run = train(
            model,
            handoffs=settings.gap_handoffs(size, quick),
            seeds=max(seeds, settings.GAP_SEEDS),
            seed=number,
            points=1,
            workers=1,
        )
        found[interface] = {
            "cells": model.n_cells,
            "predicted": predicted(model, exact),
            "realised": realised_by(model, exact, run),
        }
    return found


def predicted(model: FiniteICSMDP, exact: Gap) -> dict[str, Json]:
    """The exact gap, the bounds on its supremum, and the loss from the initial law."""
    low, high = exact.two_sided
    return {
        "rms": exact.rms,
        "sup": exact.sup,
        "loss": max(0.0, float(model.initial @ exact.loss)),
        "eta": exact.residual_sup,
        "low": low,
        "high": high,
        "resolvent": exact.resolvent,
        "exact": exact.exact,
    }


def realised_by(model: FiniteICSMDP, exact: Gap, run: Run) -> dict[str, Json]:
    """Inner products of the seeds' errors in L2(mu), their errors where the gap is largest, losses.

    The error of a table is its distance from Q*, signed like the predicted one at that place.
    """
    errors = np.stack([_error(model, exact, run, k) for k in range(run.seeds)])
    predicted = -exact.difference
    place = np.unravel_index(np.abs(predicted).argmax(), predicted.shape)
    sign = np.sign(predicted[place]) or 1.0
    best = float(model.initial @ exact.optimal.value)
    losses = []
    for k in range(run.seeds):
        q = np.where(model.cell_mask, values_of(run, model, k), -np.inf)
        policy = q.argmax(axis=1)[model.cell]
        losses.append(best - float(model.initial @ evaluate(model, policy).value))
    return {
        "products": np.einsum("ixa,jxa,xa->ij", errors, errors, exact.visits).tolist(),
        "sup": (sign * errors[:, place[0], place[1]]).tolist(),
        "loss": losses,
    }


def _error(
    model: FiniteICSMDP, exact: Gap, run: Run, seed: int
) -> Float[np.ndarray, "state action"]:
    own = values_of(run, model, seed)[model.cell]
    error: np.ndarray = np.subtract(own, exact.optimal.q, out=np.zeros(own.shape), where=exact.met)
    return error


def terms(size: int, number: int, seeds: int, seed: int, quick: bool) -> dict[str, Json]:
    """The bound behind interfaces of few pairs: each term measured, estimated and certified.

    The estimate solves a Lyapunov equation over pairs, which takes minutes for thousands of them.
    Certificates are Theorem S on a play of their own; behind a lossy interface it is given h, the
    oscillation computed from the model.
    """
    problem = triage(posed(size, seed, number).problem.instance, senders=True)
    found: dict[str, Json] = {}
    for interface in INTERFACES:
        model = problem.seen(interface)
        if model.cell_mask.sum() > settings.WIDEST:
            continue
        run = train(
            model,
            handoffs=settings.TERM_HANDOFFS,
            seeds=seeds,
            seed=number,
            points=1,
            workers=1,
        )
        hidden = oscillation(model, *attainable_range(model))
        told = bound(
            model,
            run=run,
            handoffs=settings.certified(size, quick) if hidden == 0 else settings.TERM_HANDOFFS,
            delta=settings.DELTA,
            oscillation=hidden * (1 + ROUNDING) if hidden > 0 else None,
            seed=number,
        )
        found[interface] = {
            "oscillation": hidden,
            **{
                term.name: {
                    "measured": _figure(term.measured),
                    "estimate": _figure(term.estimate),
                    "certificate": _figure(term.certificate),
                }
                for term in told.terms
            },
        }
    return found


def _figure(found: Figure) -> dict[str, Json]:
    return {"value": found.value, "note": found.note}
