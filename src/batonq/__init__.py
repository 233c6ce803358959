"""batonq learns when and to whom agents hand off, while one scalar crosses per handoff."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from batonq._version import __version__

if TYPE_CHECKING:
    from batonq import testing
    from batonq.bound.offpolicy import evaluate
    from batonq.bound.refine import refine
    from batonq.bound.terms import bound
    from batonq.icq.compare import compare
    from batonq.icq.environment import Environment, Turn
    from batonq.icq.gymnasium import from_gymnasium, to_gymnasium
    from batonq.icq.log import Log
    from batonq.icq.observe import observe
    from batonq.icq.pettingzoo import from_pettingzoo, to_pettingzoo
    from batonq.icq.record import Handoff
    from batonq.icq.run import Run
    from batonq.icq.train import train
    from batonq.node.agent import Agent
    from batonq.node.limits import END, Limits
    from batonq.node.logs.export import read_log
    from batonq.node.peers.peer import Peer
    from batonq.node.team import Team
    from batonq.smdp.exact import optimal as solve
    from batonq.smdp.model import FiniteICSMDP

__all__ = [
    "END",
    "Agent",
    "Environment",
    "FiniteICSMDP",
    "Handoff",
    "Limits",
    "Log",
    "Peer",
    "Run",
    "Team",
    "Turn",
    "__version__",
    "bound",
    "compare",
    "evaluate",
    "from_gymnasium",
    "from_pettingzoo",
    "observe",
    "read_log",
    "refine",
    "solve",
    "testing",
    "to_gymnasium",
    "to_pettingzoo",
    "train",
]

# Names are looked up when first used, so that `import batonq` loads no compiler.
_HOMES = {
    "Agent": ("batonq.node.agent", "Agent"),
    "END": ("batonq.node.limits", "END"),
    "Limits": ("batonq.node.limits", "Limits"),
    "Peer": ("batonq.node.peers.peer", "Peer"),
    "Environment": ("batonq.icq.environment", "Environment"),
    "FiniteICSMDP": ("batonq.smdp.model", "FiniteICSMDP"),
    "Handoff": ("batonq.icq.record", "Handoff"),
    "Log": ("batonq.icq.log", "Log"),
    "Run": ("batonq.icq.run", "Run"),
    "Team": ("batonq.node.team", "Team"),
    "Turn": ("batonq.icq.environment", "Turn"),
    "compare": ("batonq.icq.compare", "compare"),
    "evaluate": ("batonq.bound.offpolicy", "evaluate"),
    "from_gymnasium": ("batonq.icq.gymnasium", "from_gymnasium"),
    "from_pettingzoo": ("batonq.icq.pettingzoo", "from_pettingzoo"),
    "observe": ("batonq.icq.observe", "observe"),
    "read_log": ("batonq.node.logs.export", "read_log"),
    "refine": ("batonq.bound.refine", "refine"),
    "solve": ("batonq.smdp.exact", "optimal"),
    "to_gymnasium": ("batonq.icq.gymnasium", "to_gymnasium"),
    "to_pettingzoo": ("batonq.icq.pettingzoo", "to_pettingzoo"),
    "train": ("batonq.icq.train", "train"),
}


def __getattr__(name: str) -> object:
    if name in ("bound", "testing"):  # packages; `bound` can be called
        return import_module(f"batonq.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'batonq' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
