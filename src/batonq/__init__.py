"""batonq learns when and to whom agents hand off, while one scalar crosses per handoff."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from batonq._version import __version__

if TYPE_CHECKING:
    from batonq import testing
    from batonq.icq.compare import compare
    from batonq.icq.environment import Environment, Turn
    from batonq.icq.record import Handoff
    from batonq.icq.run import Run
    from batonq.icq.train import train
    from batonq.smdp.exact import optimal as solve
    from batonq.smdp.model import FiniteICSMDP

__all__ = [
    "Environment",
    "FiniteICSMDP",
    "Handoff",
    "Run",
    "Turn",
    "__version__",
    "compare",
    "solve",
    "testing",
    "train",
]

# Names are looked up when first used, so that `import batonq` loads no compiler.
_HOMES = {
    "Environment": ("batonq.icq.environment", "Environment"),
    "FiniteICSMDP": ("batonq.smdp.model", "FiniteICSMDP"),
    "Handoff": ("batonq.icq.record", "Handoff"),
    "Run": ("batonq.icq.run", "Run"),
    "Turn": ("batonq.icq.environment", "Turn"),
    "compare": ("batonq.icq.compare", "compare"),
    "solve": ("batonq.smdp.exact", "optimal"),
    "train": ("batonq.icq.train", "train"),
}


def __getattr__(name: str) -> object:
    if name == "testing":
        return import_module("batonq.testing")
    if name not in _HOMES:
        raise AttributeError(f"module 'batonq' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
