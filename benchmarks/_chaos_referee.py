"""The referee: counts what was asked and answered, and holds every store to it afterwards.

`python -m benchmarks._chaos_referee`, a process of its own: JSON lines on standard input, one
verdict as a JSON line on standard output for each line {"is": "check", ...}. It is told of every
call before it is made (`issue`), of every answer (`ack`), of refusals (`refused`) and of errors
inside a node (`fault`). Nodes never hear of it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks._chaos_checks import opened, violations

Body = dict[str, Any]
Key = tuple[str, str, str, str]  # node, what was asked, handoff, key of a correction
SHOWN: Final = 20  # violations shown one by one
DECIDED: Final = ("id", "agent", "action", "target", "propensity", "values", "mode", "version")


def key_of(node: str, call: Body) -> Key:
    """Under what the referee keeps a call; `settle` and `finish` both give the outcome."""
    do = "settle" if call["do"] == "finish" else call["do"]
    return node, do, call["handoff_id"], call.get("key", "")


@dataclass
class Referee:
    """What was asked and answered so far.

    Attributes:
        asked: by key, the calls that were made under it, each once.
        answered: by key, the call that was answered first and its answer.
        counts: of lines by kind.
        violations: what should not have happened, in words.
    """

    asked: dict[Key, list[Body]] = field(default_factory=dict)
    answered: dict[Key, tuple[Body, Body]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def hear(self, line: Body) -> None:
        """Take note of one line."""
        self.counts[line["is"]] += 1
        call, key = line["call"], key_of(line["node"], line["call"])
        if line["is"] == "issue":
            asked = self.asked.setdefault(key, [])
            if call not in asked:
                asked.append(call)
        elif line["is"] == "ack":
            self._answered(key, call, line["answer"])
        elif line["is"] == "refused":
            if line["status"] != line["right"]:
                self.violations.append(f"{key}: refused with {line['status']}: {line['why']}")
        elif line["is"] == "fault":
            self.violations.append(f"{key}: an error inside the node: {line['answer']}")

    def _answered(self, key: Key, call: Body, answer: Body) -> None:
        first_call, first = self.answered.setdefault(key, (call, answer))
        if call != first_call:
            self.violations.append(f"{key}: {call} was accepted after {first_call}")
        if call["do"] == "decide":
            for name in DECIDED:
                if answer[name] != first[name]:
                    told = f"{name} was {first[name]}, later {answer[name]}"
                    self.violations.append(f"{key}: {told}")


def check(referee: Referee, question: Body) -> Body:
    """The verdict over all nodes: violations, how many of each kind, and what was counted."""
    nodes = opened(question)
    found = {"told": referee.violations, **violations(nodes, referee.asked, referee.answered)}
    shown = [line for lines in found.values() for line in lines[:SHOWN]]
    events = Counter(event.kind for node in nodes for event in node.events)
    return {
        "violations": sum(map(len, found.values())),
        "shown": shown[:SHOWN],
        **{kind: len(lines) for kind, lines in found.items()},
        "learnt": sum(len(node.replay.updates) for node in nodes),
        "still_open": sum(len(node.replay.open) for node in nodes),
        "rows_verified": sum(node.chain.rows for node in nodes),
        "events": events,
        "lines": referee.counts,
    }


def main() -> None:
    """Listen until standard input ends."""
    referee = Referee()
    for line in sys.stdin:
        told = json.loads(line)
        if told["is"] == "check":
            print(json.dumps(check(referee, told)), flush=True)
        else:
            referee.hear(told)


if __name__ == "__main__":
    main()
