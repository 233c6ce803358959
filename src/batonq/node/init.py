"""A node.toml to start from, and a token only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from batonq.base.errors import DataError, ModelError
from batonq.base.files import make_folder, write_text
from batonq.node.config import parse_config
from batonq.wire.messages import check_name

TOKEN: Final = "control.token"  # noqa: S105 - the file's name

_HEAD: Final = """\
# A batonq node. `batonq node doctor` says what is wrong or missing.
name = "node"
store = "node.db"          # everything learnt; one process at a time owns it
mode = "observe"           # the usual route is taken and learnt from; in "apply" the policy decides
durability = "normal"      # survives kill -9; "full" also survives a power cut
ttl = 3600                 # seconds after which a handoff that still waits is closed

[units]                    # peers must have the same, or nothing is learnt from them
gamma = {gamma}            # discount per unit of time
time_unit = "step"
reward_unit = "reward"
reward_range = [-1, 1]     # of the reward per unit of time; gives the range of quotes
bits = 8                   # of the one number that crosses

[explore]
epsilon = 0.1              # chance of any permitted action, in mode apply
canary = 1.0               # share of decisions left to the policy; the others take the default

[limits]                   # per workflow, before the policy
hops = 20

[serve]
host = "127.0.0.1"
port = 8642
token_file = "{token}"
peer_rate = 100            # calls a second of each peer
"""

_AGENT: Final = """
[agents.{name}]
# fields = ["kind", "tier"]     # of the artifact; without it all of it is seen
# text = ["body"]               # hashed, never kept
to = [{to}]
"""

_PEER: Final = """
# [peers.code]                  # an agent of another organisation
# url = "https://code.example"
# token_file = "code.token"     # what we show it
# accepts_file = "from-code.token"  # what it shows us
# leak_bits = 80000             # of quotes it may ever get from us
"""


def write_node(folder: Path, agents: tuple[str, ...], gamma: float) -> tuple[Path, Path]:
    """Write node.toml and a token file (mode 600) into `folder`; returns both paths.

    Raises:
        DataError: if there is a node already, or the folder cannot be written.
        ModelError, WireError: for a discount or name that cannot be.
    """
    if not 0 < gamma < 1:
        raise ModelError(f"gamma: {gamma:g} is not in (0, 1); with 1 give quote_range by hand")
    for name in agents:
        check_name(name, "agent")
    make_folder(folder)
    config, token = folder / "node.toml", folder / TOKEN
    for path in (config, token):
        if path.exists():
            raise DataError(f"{path}: is there already; choose another folder, or delete it")
    tables = []
    for k, name in enumerate(agents):
        onward = [*agents[k + 1 : k + 2], "end"]
        tables.append(_AGENT.format(name=name, to=", ".join(f'"{one}"' for one in onward)))
    text = _HEAD.format(gamma=gamma, token=TOKEN) + "".join(tables) + _PEER
    parse_config(text.encode())
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    write_text(config, text)
    return config, token
