"""Calls that schemathesis makes up from the OpenAPI document of a node, and how they fare.

*Free* calls are as it makes them: bodies that the document allows, and bodies that it does not. All
its checks are held against the answers: no 5xx, status, type and schema as documented, what is not
allowed refused. *Filled* calls are allowed ones in which every name that must exist is replaced by
one that does, as no generator can guess it: the agent, a handoff that was decided or settled, the
digest of the declaration. Of these the share that succeeds is counted.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

Body = dict[str, Any]

AGENTS: Final = {"intake": ("search", "code", "end"), "search": ("intake", "end")}
PEER: Final = "code"  # nobody answers for it
SHOWN: Final = 20


@dataclass
class Run:
    """What is known of a node from its answers, and what came of the calls.

    Attributes:
        url: of the node.
        token: of its control.
        digest: of its declaration.
        rng: chooses among what exists.
        decided: stored decisions not settled yet, with the agent and the target.
        settled: handoffs with an outcome.
        counts: of filled calls by route and status, and of free ones by "free" and kind.
        refused: filled calls that did not succeed.
        wrong: checks that failed.
    """

    url: str
    token: str
    digest: str
    rng: random.Random
    decided: dict[str, tuple[str, str]] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, Any]] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    made: int = 0

    def name(self) -> str:
        """A handoff_id not used before."""
        self.made += 1
        return f"s-{self.made}"

    def share(self) -> float:
        """Of filled calls, how many succeeded."""
        filled = {key: count for key, count in self.counts.items() if key[0] != "free"}
        good = sum(count for (_, status), count in filled.items() if status == 200)
        return good / max(1, sum(filled.values()))

    def headers(self) -> dict[str, str]:
        """With the token."""
        return {"Authorization": f"Bearer {self.token}"}


def fill(run: Run, route: str, body: Body) -> bool:
    """Put names that exist into a body that the document allows; false if there are none yet."""
    if route == "decide":
        _fill_decision(run, body)
    elif route in ("settle", "finish"):
        if not run.decided:
            return False
        name = run.rng.choice(list(run.decided))
        agent, target = run.decided[name]
        body["handoff_id"] = name
        if route == "settle" and target == agent:
            body["artifact"] = body.get("artifact", {"kind": "done"})
    elif route == "outcomes":
        if not run.settled:
            return False
        body["handoff_id"], body["key"] = run.rng.choice(run.settled), run.name()
        if body.get("realised") is not None:  # which is told once
            body["handoff_id"] = run.settled.pop(run.rng.randrange(len(run.settled)))
    elif route == "receive":
        body |= {"handoff_id": run.name(), "sender": PEER, "declaration": run.digest}
        body["receiver"] = run.rng.choice(list(AGENTS))
    elif route == "batch":
        body["calls"] = [call for call in body["calls"] if fill(run, call["do"], call)]
        seen: set[tuple[str, str]] = set()
        for call in list(body["calls"]):  # one outcome per handoff
            kind = "settle" if call["do"] == "finish" else call["do"]
            key = kind, str(call["handoff_id"])
            if kind == "settle" and key in seen:
                body["calls"].remove(call)
            seen.add(key)
    return True


def _fill_decision(run: Run, body: Body) -> None:
    agent = run.rng.choice(list(AGENTS))
    body["agent"], body["handoff_id"] = agent, run.name()
    given = body.get("to")
    actions = list(given if given is not None else AGENTS[agent])
    if body.get("default") is not None:
        body["default"] = run.rng.choice(actions)
    targets = set(given.values()) if isinstance(given, dict) else set(actions)
    if {*actions, *targets} & set(body.get("veto", ())):
        body["veto"] = []  # it may rule out all, which is refused


def learn(run: Run, route: str, body: Body, answer: Body) -> None:
    """Take note of what a call that succeeded did."""
    if route == "decide" and answer["logged"]:
        run.decided[answer["id"]] = answer["agent"], answer["target"]
    elif route in ("settle", "finish"):
        run.decided.pop(body["handoff_id"], None)
        run.settled.append(body["handoff_id"])
    elif route == "batch":
        for call, result in zip(body["calls"], answer["results"], strict=True):
            status = result.get("status", 200)
            run.counts[f"batch/{call['do']}", status] += 1
            if status == 200:
                learn(run, call["do"], call, result)
            elif len(run.refused) < SHOWN:
                run.refused.append(f"batch/{call['do']}: {result} to {call}")


def document(run: Run) -> Any:
    """The node's own OpenAPI document, as schemathesis reads it."""
    return schemathesis.openapi.from_url(
        f"{run.url}/v1/openapi.json", headers=run.headers(), wait_for_schema=10
    )


def operations(schema: Any) -> list[Any]:
    """Every operation it describes."""
    return [found.ok() for found in schema.get_all_operations()]


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def filled(run: Run, operation: Any, examples: int, number: int) -> None:
    """Make calls of one operation with names that exist."""
    route = operation.path.split("/")[2]

    @seed(number)
    @_settings(examples)
    @given(case=operation.as_strategy(GenerationMode.POSITIVE))
    def call(case: Any) -> None:
        if route == "handoffs":
            known = [*run.decided, *run.settled]
            if not known:
                return
            case.path_parameters["handoff_id"] = run.rng.choice(known)
        elif isinstance(case.body, dict) and not fill(run, route, case.body):
            return
        response = case.call(headers=run.headers())
        run.counts[route, response.status_code] += 1
        if response.status_code == 200:
            if isinstance(case.body, dict):
                learn(run, route, case.body, response.json())
        elif len(run.refused) < SHOWN:
            run.refused.append(f"{route}: {response.status_code} {response.text} to {case.body}")

    call()


def free(run: Run, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
    """Make calls of one operation as they come, and hold every check against the answers."""

    @seed(number)
    @_settings(examples)
    @given(case=operation.as_strategy(mode))
    def call(case: Any) -> None:
        response = case.call(headers=run.headers())
        run.counts["free", mode.value] += 1
        check(run, case, response)

    call()


def switch_on(run: Run) -> None:
    """Back to the mode in which decisions are kept and chance plays a part."""
    answer = httpx.post(f"{run.url}/v1/mode", json={"mode": "apply"}, headers=run.headers())
    assert answer.status_code == 200


def flows(run: Run, schema: Any, examples: int, number: int) -> None:
    """Sequences of calls along the links of the document, from decisions to what came of them."""

    class Flow(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            allowed = case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE
            if allowed and case.operation.path.endswith("/decide") and isinstance(case.body, dict):
                _fill_decision(run, case.body)

        def get_call_kwargs(self, _case: Any) -> Body:
            return {"headers": run.headers()}

        def validate_response(self, response: Any, case: Any, **_more: Any) -> None:
            run.counts["free", f"flow {case.operation.label} {response.status_code}"] += 1
            # What a link puts in can mend a body that was not allowed.
            check(run, case, response, negative_data_rejection)

    @seed(number)
    def play() -> None:
        run_state_machine_as_test(
            Flow, settings=settings(_settings(examples), stateful_step_count=6)
        )

    play()
    switch_on(run)


def check(run: Run, case: Any, response: Any, *excluded: Any) -> None:
    """Hold all checks against an answer, but for one and those excluded.

    A default that is none of the targets is refused, say, which the document cannot tell.
    """
    try:
        case.validate_response(
            response,
            headers=run.headers(),
            excluded_checks=[positive_data_acceptance, *excluded],
        )
    except (Exception, BaseExceptionGroup) as failure:
        if len(run.wrong) < SHOWN:
            run.wrong.append(f"{case.operation.label}: {failure}")


def a_round(run: Run, schema: Any, examples: int, number: int) -> None:
    """Every operation once in each way; decisions first, so that there is something to settle."""
    for place, operation in enumerate(operations(schema)):
        at = 1_000 * number + 10 * place
        times = 2 if operation.path.endswith("/decide") else 1
        filled(run, operation, times * examples, at)
        free(run, operation, GenerationMode.POSITIVE, examples, at + 1)
        if operation.body or operation.path_parameters:
            free(run, operation, GenerationMode.NEGATIVE, examples, at + 2)
        switch_on(run)
