"""What an agent knows of its own answer and no other agent does: read from its text alone."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float

from batonq.tasks.maths.extract import numbers_in, same_number
from batonq.tasks.maths.prices import tokens

NAMES = (
    "length",  # tokens of the text, in hundreds
    "results",  # "=" signs in the text, in tens
    "parsed",  # 1 if a number was read from the text
    "marked",  # 1 if the text marks its answer: a box, "####" or a last line "A:"
    "echo",  # 1 if the answer is a number of the question
    "supported",  # 1 if the answer is a result (stands after "=") somewhere in the text
    "used",  # share of the question's numbers that the text mentions
    "asked",  # numbers in the question, in tens
)
_MARK = re.compile(r"\\boxed|####|^A:", re.M)
_RESULT = re.compile(r"=\s*\\?[$€£]?\s*(-?[\d,]*\.?\d+)")


def private_features(
    text: str, question_numbers: tuple[float, ...], answer: float | None
) -> Float[np.ndarray, " feature"]:
    """Return the features named in `NAMES`, each of the order of 1.

    Args:
        text: what the agent wrote; "" if nothing was recorded.
        question_numbers: the numbers of the question, as `numbers_in` reads them.
        answer: what was read from the text, or None.
    """
    results = [float(found.replace(",", "")) for found in _RESULT.findall(text)]
    asked = set(question_numbers)
    mentioned = set(numbers_in(text)) if text else set()
    return np.array(
        [
            tokens(len(text)) / 100.0,
            text.count("=") / 10.0,
            float(answer is not None),
            float(_MARK.search(text) is not None),
            float(answer is not None and any(same_number(answer, k) for k in asked)),
            float(answer is not None and any(same_number(answer, k) for k in results)),
            len(asked & mentioned) / len(asked) if asked else 1.0,
            len(question_numbers) / 10.0,
        ]
    )
