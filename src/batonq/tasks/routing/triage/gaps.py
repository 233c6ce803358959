"""The interface gap of an instance: exact, as trained tables have it, and the bound's terms."""

from __future__ import annotations

from typing import Final

from batonq.base.files import Json
from batonq.bound.gap import gap
from batonq.bound.lines import Figure
from batonq.bound.premises import attainable_range, oscillation
from batonq.bound.terms import bound
from batonq.icq.train import train
from batonq.smdp.policies import uniform
from batonq.study.gaps import predicted, realised_by
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
