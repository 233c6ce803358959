"""Checkup: what `doctor` needs to know of a node, gathered from its configuration and its store."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from batonq.node.config import NodeConfig
from batonq.node.doctor.diagnosis import AgentSetup, PeerSetup, Setup, diagnose
from batonq.node.doctor.examination import Finding
from batonq.node.team import Team


def checkup(team: Team, config: NodeConfig, folder: Path, half_width: float) -> list[Finding]:
    """Look at a node, without writing anything; see `doctor.diagnose`.

    Args:
        team: opened from `config`, read-only does.
        config: what node.toml says.
        folder: where node.toml lies.
        half_width: of the intervals to plan for, in units of reward.

    Raises:
        ModelError: if `half_width` is not positive.
        StoreError: if the store cannot be read.
    """
    path = folder / config.store
    files = [config.serve.token_file]
    for peer in config.peers.values():
        files += [peer.token_file, peer.accepts_file]
    setup = Setup(
        declaration=team.declaration,
        mode=team.mode,
        exploration=team.core.exploration,
        ttl=config.ttl,
        durability=config.durability,
        agents=tuple(AgentSetup(name, one.learner) for name, one in config.agents.items()),
        peers=tuple(
            PeerSetup(
                name=peer.name,
                url=peer.url,
                shows=peer.token is not None,
                accepts=peer.accepts is not None,
                leak_bits=peer.leak_bits,
                answered=peer.answered,
                declaration=peer.declaration,
                terms=peer.terms,
                ledger=peer.ledger,
            )
            for peer in team.peers.values()
        ),
        host=config.serve.host,
        token=config.serve.token_file is not None,
        secrets={
            name: stat.S_IMODE((folder / name).stat().st_mode)
            for name in files
            if name is not None and (folder / name).exists()
        },
        store_bytes=path.stat().st_size if path.exists() else None,
        disk_free=shutil.disk_usage(path.parent).free,
    )
    return diagnose(team.store, setup, team.core.clock(), half_width)
