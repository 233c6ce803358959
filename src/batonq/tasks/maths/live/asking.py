"""What each agent asks its model: a request made from the question and, for a check, an attempt.

Every prompt begins with the question, so that a local model reads it once for all its prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.llm.request import Request
from batonq.tasks.maths.live.prompts import Prompt, prompt
from batonq.tasks.maths.live.questions import Question

SOLVERS: Final = ("direct", "step", "reread", "program")
CHECK: Final = "check"
_LONGEST: Final = {"direct": 24, "step": 256, "reread": 320, "program": 200, CHECK: 1}
_ALTERNATIVES: Final = 8  # first tokens among which a checker's yes and no are looked for


@dataclass(frozen=True)
class Call:
    """One way of asking: a model under a prompt, or a model that checks another call's attempt.

    Attributes:
        model: label of the model.
        prompt: "direct", "step", "reread", "program" or "check".
        checks: name of the call whose attempt is checked; "" for a solver.
    """

    model: str
    prompt: str
    checks: str = ""

    @property
    def work(self) -> str:
        """The prompt, and of a check what it checks."""
        return f"{self.prompt} of {self.checks}" if self.checks else self.prompt

    @property
    def name(self) -> str:
        """Names it in records, prices and reports."""
        return f"{self.model}/{self.work}"


def request(
    call: Call, model: str, question: Question, attempt: str = "", longest: int | None = None
) -> Request:
    """The request of a call.

    Args:
        call: which way of asking.
        model: what the client calls the model.
        question: what is asked.
        attempt: the text to be checked.
        longest: tokens of the longest reply; None: what small models need under the prompt.
    """
    places = {"question": question.text, "options": options(question), "attempt": attempt}
    return Request(
        model=model,
        system=prompt("system").text,
        prompt=prompt_of(call, question).fill(**places),
        max_tokens=_LONGEST[call.prompt] if longest is None else longest,
        alternatives=_ALTERNATIVES if call.prompt == CHECK else 0,
    )


def prompt_of(call: Call, question: Question) -> Prompt:
    """The prompt a call uses for a question: with options, or without."""
    shows = question.options and call.prompt in ("direct", "step", "reread")
    return prompt(f"{call.prompt}-options" if shows else call.prompt)


def options(question: Question) -> str:
    """The options, a line each."""
    return "\n".join(
        f"{letter}) {text}" for letter, text in zip(question.letters, question.options, strict=True)
    )
