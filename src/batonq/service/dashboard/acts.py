"""What an operator does by hand; each returns the page to show then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from batonq.base.errors import WireError
from batonq.node.team import Team

STORE_FAILED: Final = (
    "The node's store cannot keep this now; its log says why. A mode that was chosen is in force, "
    "but a restart forgets it. Anything else was not done: try again."
)


def set_mode(team: Team, fields: Mapping[str, str], by: str) -> str:
    """Change the mode.

    Raises:
        ModelError: if there is no such mode.
        StoreError: if it is in force, but could not be kept.
    """
    team.set_mode(fields.get("mode", ""), by=by or "dashboard")
    return "/"


def promote(team: Team, fields: Mapping[str, str]) -> str:
    """Keep what an agent has learnt as a version.

    Raises:
        UnknownError: if there is no such agent.
    """
    name = team[fields.get("agent", "")].name
    team.promote(name)
    return _agent(name)


def rollback(team: Team, fields: Mapping[str, str]) -> str:
    """Let an agent answer from an earlier version.

    Raises:
        UnknownError: if there is no such agent or version.
    """
    name = team[fields.get("agent", "")].name
    version = fields.get("version", "")
    if not (version.isascii() and version.isdigit()) or len(version) > 9:
        raise WireError("version: give the number of one of the agent's versions")
    team.rollback(name, int(version))
    return _agent(name)


def judge(team: Team, name: str, do: str) -> str:
    """Quarantine or release a peer.

    Raises:
        UnknownError: if there is no such peer.
    """
    (team.quarantine if do == "quarantine" else team.release)(name)
    return "/peers"


def _agent(name: str) -> str:
    return f"/agents/{quote(name, safe='')}"
