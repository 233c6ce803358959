"""The pipeline of the chaos benchmark: workflows that wander among agents and retry what fails.

Every call is told to the referee before it is sent for the first time and when its answer came. A
call is retried until it is answered: alone on its own route or, more often, in a batch with what
else waits for that node, shuffled, so that retries come in another order and company.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks._chaos_http import TROUBLE, exchange, parse, request

END: Final = "end"
LARGEST_BATCH: Final = 100
AT_ONCE: Final = 4  # requests under way to one node
ALONE: Final = 0.1  # share of sendings without a batch
TIMEOUT: Final = 20.0  # seconds
ROUNDS: Final = 20  # of asking again for quotes in the end
TRIES: Final = 300  # of one call, over some five minutes
AGAIN: Final = (0, 429, 500, 503)  # worth another try, as is an outcome before its decision
LEAVES: Final = 0.02  # of workflows, after a decision: nobody will ever settle it
ENDS: Final = 0.1  # chance that an option ends the workflow itself
TRUNCATES: Final = 0.03
EARLY: Final = 0.03  # the outcome is sent while the decision is still under way
REPEATS: Final = 0.05  # an old call is made again
CORRECTS: Final = 0.08
CONTRADICTS: Final = 0.01  # another outcome of a settled handoff, to be refused

Body = dict[str, Any]
Tell = Callable[[Body], None]


@dataclass(frozen=True)
class World:
    """What workflows wander in.

    Attributes:
        nodes: per agent, the port at which its node is reached.
        cells: how many different artifacts there are.
        token: of the nodes.
    """

    nodes: Mapping[str, int]
    cells: int
    token: str = ""

    def actions(self, agent: str) -> dict[str, str]:
        """What an agent can do: where each action leads."""
        others = {f"to-{other}": other for other in self.nodes if other != agent}
        return {"work": agent, **others, "answer": END}


class Pipeline:
    """Makes calls until they are answered, and lets workflows run.

    Attributes:
        world: what workflows wander in.
        tell: tells the referee.
        seed: of the workflows.
        counts: of calls, retries, and what was done on purpose.
    """

    def __init__(self, world: World, tell: Tell, seed: int) -> None:
        self.world = world
        self.tell = tell
        self.seed = seed
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._queues: dict[str, asyncio.Queue[tuple[Body, asyncio.Future[tuple[int, Any]]]]] = {}
        self._past: deque[tuple[str, Body]] = deque(maxlen=2000)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: dict[tuple[str, str], Body] = {}
        self._pumps: list[asyncio.Task[None]] = []

    async def call(self, node: str, call: Body, *, right: int = 200) -> Any:
        """Make a call until it is answered; returns the answer, None if it was refused.

        Args:
            node: whose node to ask.
            call: a call as the batch route takes them.
            right: the status it should have in the end, another than 200 if it must be refused.
        """
        self.tell({"is": "issue", "node": node, "call": call})
        pause = 0.02
        status, answer = 0, None
        for _ in range(TRIES):
            status, answer = await self._sent(node, call)
            unlogged = status == 200 and call["do"] == "decide" and not answer["logged"]
            if status == 200 and not unlogged:
                self.tell({"is": "ack", "node": node, "call": call, "answer": answer})
                return answer
            if status == 500 or unlogged:
                self.tell({"is": "fault", "node": node, "call": call, "answer": answer})
            elif status not in (*AGAIN, 404 if call["do"] != "decide" else 0):
                break
            self.counts["retries"] += 1
            await asyncio.sleep(pause * (0.5 + self.random.random()))
            pause = min(2 * pause, 1.0)
        told = {"node": node, "call": call, "status": status, "right": right, "why": answer}
        self.tell({"is": "refused", **told})
        return None

    async def wander(self, handoffs: int, at_once: int) -> None:
        """Let workflows run, `at_once` at a time, until so many decisions were asked for."""
        self._pumps = [asyncio.create_task(self._pump(node)) for node in self.world.nodes]

        async def one_after_the_other(worker: int) -> None:
            number = worker
            while self.counts["handoffs"] < handoffs:
                await self._workflow(number)
                number += at_once

        await asyncio.gather(*(one_after_the_other(worker) for worker in range(at_once)))
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def quoted(self) -> None:
        """Settle again what still waited for its quote, until it has it; to be called last."""
        for _ in range(ROUNDS):
            answers = await asyncio.gather(
                *(self.call(node, call) for (node, _), call in self._waiting.items())
            )
            for key, answer in zip(list(self._waiting), answers, strict=True):
                if not answer["waiting"]:
                    del self._waiting[key]
            if not self._waiting:
                break
            await asyncio.sleep(0.5)
        for pump in self._pumps:
            pump.cancel()

    async def _workflow(self, number: int) -> None:
        draw = random.Random(f"{self.seed}/{number}")
        agents = list(self.world.nodes)
        agent, cell, step = draw.choice(agents), draw.randrange(self.world.cells), 0
        while agent != END:
            handoff = f"{number}-{step}"
            self.counts["handoffs"] += 1
            follows = await self._handoff(draw, agent, cell, handoff, f"{number}")
            if follows is None:
                return
            agent, cell = follows
            step += 1
            if self._past and draw.random() < REPEATS:
                node, call = draw.choice(self._past)
                self.counts["repeated"] += 1
                self._aside(self.call(node, call))

    async def _handoff(
        self, draw: random.Random, agent: str, cell: int, handoff: str, workflow: str
    ) -> tuple[str, int] | None:
        """One decision and its outcome; who holds what next, None if nobody does."""
        to = self.world.actions(agent)
        default = draw.choice(list(to))
        decide = {
            "do": "decide",
            "agent": agent,
            "state": {"cell": cell},
            "to": to,
            "default": default,
            "workflow": workflow,
            "handoff_id": handoff,
        }
        outcome: Body = {
            "handoff_id": handoff,
            "reward": round(draw.uniform(-1.0, 1.0), 3),
            "duration": draw.randrange(1, 4),
        }
        if draw.random() < EARLY:  # an end needs no receiver, so it can be told beforehand
            settle = {"do": "settle", **outcome, "end": "terminal"}
            self.counts["early"] += 1
            await asyncio.gather(self._made(agent, settle), self._made(agent, decide))
            return None
        decided = await self._made(agent, decide)
        if decided is None or draw.random() < LEAVES:
            self.counts["left"] += 1
            return None
        after = self._outcome(draw, outcome, decided["target"])
        settled = await self._made(agent, after)
        if settled is not None:
            self._later(draw, agent, after, settled)
        if decided["target"] == END or after.get("end") or settled is None:
            return None
        return decided["target"], after["artifact"]["cell"]

    def _outcome(self, draw: random.Random, outcome: Body, target: str) -> Body:
        if target == END:
            return {"do": "finish", **outcome}
        if draw.random() < ENDS:
            return {"do": "settle", **outcome, "end": "terminal"}
        artifact = {"cell": draw.randrange(self.world.cells)}
        if draw.random() < TRUNCATES:
            return {"do": "settle", **outcome, "artifact": artifact, "end": "truncated"}
        return {"do": "settle", **outcome, "artifact": artifact}

    def _later(self, draw: random.Random, agent: str, outcome: Body, settled: Body) -> None:
        """What comes after an outcome: a quote that is missing, corrections, contradictions."""
        handoff = outcome["handoff_id"]
        if settled["waiting"]:
            self.counts["waited"] += 1
            self._waiting[agent, handoff] = outcome
        if draw.random() < CORRECTS:
            for key in range(draw.randrange(1, 3)):
                self.counts["corrections"] += 1
                correction = {
                    "do": "outcomes",
                    "handoff_id": handoff,
                    "key": f"review-{key}",
                    "reward": round(draw.uniform(-1.0, 1.0), 3),
                    "source": "reviewer",
                }
                self._aside(self._after(draw.uniform(0.0, 1.0), agent, correction))
        if draw.random() < CONTRADICTS:
            self.counts["contradictions"] += 1
            other = {**outcome, "reward": outcome["reward"] + 0.5}
            self._aside(self.call(agent, other, right=409))

    async def _after(self, seconds: float, node: str, call: Body) -> None:
        await asyncio.sleep(seconds)
        await self._made(node, call)

    async def _made(self, node: str, call: Body) -> Any:
        answer = await self.call(node, call)
        if answer is not None:
            self._past.append((node, call))
        return answer

    def _aside(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sent(self, node: str, call: Body) -> tuple[int, Any]:
        """One try: status and answer; status 0 if there was none."""
        if self.random.random() < ALONE:
            do = call["do"]
            body = {name: value for name, value in call.items() if name != "do"}
            return await self._exchange(node, f"/v1/{do}", body)
        done: asyncio.Future[tuple[int, Any]] = asyncio.get_running_loop().create_future()
        self._queue(node).put_nowait((call, done))
        return await done

    def _queue(self, node: str) -> asyncio.Queue[tuple[Body, asyncio.Future[tuple[int, Any]]]]:
        return self._queues.setdefault(node, asyncio.Queue())

    async def _pump(self, node: str) -> None:
        """Send what waits for a node, in batches."""
        queue, room = self._queue(node), asyncio.Semaphore(AT_ONCE)
        while True:
            batch = [await queue.get()]
            await room.acquire()
            while not queue.empty() and len(batch) < LARGEST_BATCH:
                batch.append(queue.get_nowait())
            self.random.shuffle(batch)
            self._aside(self._batch(node, batch, room))

    async def _batch(
        self,
        node: str,
        batch: list[tuple[Body, asyncio.Future[tuple[int, Any]]]],
        room: asyncio.Semaphore,
    ) -> None:
        status, answer = await self._exchange(
            node, "/v1/batch", {"calls": [call for call, _ in batch]}
        )
        room.release()
        results = answer["results"] if status == 200 else [{"status": status}] * len(batch)
        for (_, done), result in zip(batch, results, strict=True):
            done.set_result((result.get("status", 200), result))

    async def _exchange(self, node: str, path: str, body: Body) -> tuple[int, Any]:
        self.counts["requests"] += 1
        message = request("POST", path, body, self.world.token)
        try:
            return parse(await exchange(self.world.nodes[node], message, TIMEOUT))
        except TROUBLE:
            return 0, None
