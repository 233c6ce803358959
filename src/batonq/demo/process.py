"""One agent of the demo in a process of its own: `python -m batonq.demo.process NODE.TOML`.

It does what `batonq node serve` does, and ends when the process that started it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from batonq.base.errors import BatonqError
from batonq.node.config import open_team, read_config, secret
from batonq.service.limits import Rate
from batonq.service.run import serve
from batonq.service.settings import Settings

BAD_INPUT: Final = 2
PEER_RATE: Final = Rate(10_000, 10_000)  # the demo is in a hurry
GRACE: Final = 5.0  # seconds


def main(path: Path) -> None:
    """Serve the one agent of a configuration until told to stop."""
    config = read_config(path)
    team = open_team(config, path.parent)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    settings = Settings(
        token=secret(path.parent, config.serve.token_file, "serve.token_file"),
        peer_rate=PEER_RATE,
    )
    serve(team, config.serve.host, config.serve.port, settings=settings)


def _end_with_parent() -> None:
    """Stop when standard input ends: the other end of that pipe is the parent's."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(1)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        main(Path(sys.argv[1]))
    except BatonqError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
