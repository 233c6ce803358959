"""Processes of the chaos benchmark: nodes that are killed and come back, proxy and referee."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks._chaos_http import TROUBLE, exchange, parse, request

ROOT: Final = Path(__file__).parents[1]
UP_WITHIN: Final = 60.0  # seconds, on a busy machine
GENTLE: Final = 0.2  # share of restarts by SIGTERM instead of kill -9
DOWN: Final = 0.5  # seconds a node is down at most, besides its start


def python(module: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a module of this folder as a process."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, **options)  # noqa: S603 - our own


class Talker:
    """A process that is told lines and answers some: the proxy, the referee."""

    def __init__(self, module: str, *arguments: str) -> None:
        pipe = subprocess.PIPE
        self._process = python(module, *arguments, stdin=pipe, stdout=pipe)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[str] = self._process.stdin
        self._from: IO[str] = self._process.stdout

    def tell(self, line: str) -> None:
        """Say a line; it is not lost if this process ends afterwards."""
        self._to.write(line + "\n")
        self._to.flush()

    def hear(self) -> str:
        """The next line of the answer."""
        line = self._from.readline()
        assert line, "the process ended without an answer"
        return line.strip()

    def end(self) -> str:
        """Close its input; returns the rest of what it says."""
        self._to.close()
        rest = self._from.read()
        self._process.wait(UP_WITHIN)
        return rest.strip()

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()
        self._to.close()
        self._from.close()


@dataclass
class Nodes:
    """The nodes of one run.

    Attributes:
        configs: by agent, what `_chaos_node` takes.
        log: where they write what they have to say.
        seed: of who is killed, and when.
        counts: kills and restarts so far.
    """

    configs: Mapping[str, dict[str, Any]]
    log: Path
    seed: int
    counts: Counter[str]

    def __post_init__(self) -> None:
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._random = random.Random(self.seed)

    def start(self, agent: str) -> None:
        """Start a node."""
        with self.log.open("a") as log:
            self._running[agent] = python(
                "_chaos_node", "serve", json.dumps(self.configs[agent]), stdout=log, stderr=log
            )

    async def recover(self) -> None:
        """Start what does not run, and wait until all answer."""
        for agent in self.configs.keys() - self._running.keys():
            self.start(agent)
        for agent in self.configs:
            await self.up(agent)

    def end(self, agent: str, how: signal.Signals) -> None:
        """Send a signal and wait for the end of the process."""
        node = self._running.pop(agent)
        node.send_signal(how)
        node.wait(UP_WITHIN)

    def end_all(self) -> None:
        """Kill -9 whatever runs."""
        for agent in list(self._running):
            self.end(agent, signal.SIGKILL)

    async def up(self, agent: str) -> None:
        """Wait until a node answers.

        Raises:
            TimeoutError: if it does not within `UP_WITHIN` seconds.
            ChildProcessError: if it ended by itself.
        """
        message = request("GET", "/v1/health")
        async with asyncio.timeout(UP_WITHIN):
            while True:
                status = self._running[agent].poll()
                if status is not None:
                    said = self.log.read_text()[-2000:]
                    raise ChildProcessError(f"node {agent} ended by itself ({status}): {said}")
                try:
                    if parse(await exchange(self.configs[agent]["port"], message, 2.0))[0] == 200:
                        return
                except TROUBLE:
                    await asyncio.sleep(0.05)

    async def kill_at_random(self, every: float, kills: int | None) -> None:
        """Until cancelled: end a node, let it be down for a while, start it again.

        Args:
            every: mean seconds between a node's being up and the next end.
            kills: how many times at most; None: as often as there is time for.
        """
        while kills is None or self.counts.total() < kills:
            await asyncio.sleep(self._random.expovariate(1.0 / every))
            agent = self._random.choice(list(self.configs))
            gentle = self._random.random() < GENTLE
            how = signal.SIGTERM if gentle else signal.SIGKILL
            await asyncio.to_thread(self.end, agent, how)
            self.counts["restart" if gentle else "kill -9"] += 1
            await asyncio.sleep(self._random.uniform(0.0, DOWN))
            self.start(agent)
            await self.up(agent)

    def tables(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """By agent, what each has learnt, after its store is opened anew; no node may run."""
        arguments = "tables", json.dumps(self.configs)
        said = python("_chaos_node", *arguments, stdout=subprocess.PIPE).communicate()[0]
        found: dict[str, dict[str, dict[str, list[float]]]] = json.loads(said)
        return found
