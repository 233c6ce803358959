"""The tasks by name, so that a report can be made again without importing them all."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from batonq.base.errors import DataError
from batonq.study.experiment import Summarise

SUMMARISE: Mapping[str, str] = MappingProxyType(
    {
        "cpu": "batonq.tasks.cpu.experiment:summarise",
        "maths": "batonq.tasks.maths.experiment:summarise",
        "maths_live": "batonq.tasks.maths.live.summary:summarise",
        "routing": "batonq.tasks.routing.experiment:summarise",
        "synthetic": "batonq.tasks.synthetic.experiment:summarise",
    }
)


def summariser(name: str, known: Mapping[str, str] = SUMMARISE) -> Summarise:
    """Import and return the function that sums up the results of experiment `name`.

    Args:
        name: what config.json calls the experiment.
        known: per name the place of its function, ``module:function``.

    Raises:
        DataError: if there is no such experiment.
    """
    if name not in known:
        raise DataError(
            f"experiment '{name}' is unknown to this batonq; it knows {', '.join(known)}"
        )
    module, function = known[name].split(":")
    return cast(Summarise, getattr(import_module(module), function))
