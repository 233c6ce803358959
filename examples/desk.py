"""A help desk whose agents learn to hand off: an environment written in Python.

Intake sees whether a request is a bug or a question, and hands it to search or to code. Search
answers, or passes on to code, which costs time. Only who answers learns whether the answer was
right; what intake gets is one number from the agent it hands to.
"""

import tempfile
from pathlib import Path

import numpy as np

import batonq as bq


class Desk:
    """Two kinds of request, three agents; a right answer is worth 1 when it comes."""

    agents = {"intake": 2, "search": 2, "code": 1}  # number of actions of each
    gamma = 0.95  # discount of one minute

    def reset(self, rng: np.random.Generator) -> bq.Turn:
        self.bug, self.holder = bool(rng.random() < 0.5), "intake"
        return bq.Turn("intake", observation="bug" if self.bug else "question")

    def step(self, action: int) -> bq.Turn:
        if self.holder == "intake":  # 0 hands to search, 1 to code
            self.holder = ("search", "code")[action]
            return bq.Turn(self.holder, observation=self.bug)
        if self.holder == "search" and action == 1:  # 1 hands on to code, 0 answers
            self.holder = "code"
            return bq.Turn("code", observation=self.bug, reward=-0.1, duration=4)
        solved = self.bug == (self.holder == "code")
        return bq.Turn(reward=float(solved), duration=2, end="terminal")


def main() -> None:
    """Train IC-Q and, for comparison, the same agents with nothing crossing between them."""
    bq.testing.check_environment(Desk())
    icq = bq.train(Desk(), handoffs=5_000, seeds=8)
    silent = bq.train(Desk(), learner="no_scalar", handoffs=5_000, seeds=8)
    print(icq)
    print(silent)
    print(bq.compare(icq, silent))
    print(f"numbers that crossed between agents: {icq.quotes_crossed[0]} in the first seed")
    for agent, table in icq.tables[0].items():
        for seen, values in zip(table.observations, table.q, strict=True):
            print(f"{agent:7} sees {seen!s:9} values {np.round(values, 3)}")
    with tempfile.TemporaryDirectory() as folder:
        path = icq.save(Path(folder) / "desk")
        assert (bq.Run.load(path).curve == icq.curve).all()


if __name__ == "__main__":
    main()
