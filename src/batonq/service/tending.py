"""Tending: what a node does by itself while it is served: asks again, and gives up in the end."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from batonq.base.errors import BatonqError
from batonq.node.team import Team
from batonq.service.problems import internal

logger = logging.getLogger(__name__)

LONGEST_PAUSE: Final = 60.0  # seconds
_AT_ONCE: Final = 100  # handoffs asked for in one round


async def tend(team: Team, seconds: float) -> None:
    """Until cancelled: ask peers for quotes that wait, and close handoffs that waited too long.

    Args:
        team: whose.
        seconds: pause between two rounds. Doubled, up to a minute, while quotes wait and none
            comes.
    """
    pause = seconds
    while True:
        await asyncio.sleep(pause)
        pause = await round_of(team, seconds, pause)


async def round_of(team: Team, seconds: float, pause: float) -> float:
    """One round; returns the pause before the next."""
    try:
        waiting = bool(team.store.unsent(1))
        came = await team.asend_unsent(_AT_ONCE) if waiting else 0
        team.expire()
    except BatonqError as error:
        logger.warning("tending: %s", error)
    except Exception as error:  # it goes on: nobody else would
        internal(error)
    else:
        if came or not waiting:
            return seconds
    return min(2 * pause, LONGEST_PAUSE)
