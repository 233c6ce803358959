"""Features of a question's text: counts, and a hashed bag of its words."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from zlib import crc32

import numpy as np
from jaxtyping import Float

COUNTS = (
    "words",  # logarithm of 1 + the number of words, over 4
    "numbers",  # logarithm of 1 + the number of numbers written in digits, over 2
    "sentences",  # logarithm of 1 + the number of sentences, over 2
    "parts",  # 1 if a fraction, a percentage or a decimal point is in the text
    "money",  # 1 if an amount of money is in the text
    "longest",  # digits of the longest number, over 4
)
_WORD = re.compile(r"[a-z]+")
_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?")
_PARTS = re.compile(r"\d/\d|%|\d\.\d|\bpercent|\bhalf\b|\bthird|\bquarter|\bfraction")


@lru_cache(maxsize=16)
def text_features(questions: tuple[str, ...], width: int) -> Float[np.ndarray, "question feature"]:
    """Return the features of texts: one constant, `COUNTS`, and `width` hashed words.

    Each is of the order of 1 and needs nothing learnt. The words' part of a row has length 1 or
    is zero. The array is shared between callers, hence read-only.
    """
    features = np.zeros((len(questions), 1 + len(COUNTS) + width))
    features[:, 0] = 1.0
    for row, question in zip(features, questions, strict=True):
        words = _WORD.findall(question.lower())
        row[1 : 1 + len(COUNTS)] = _counts(question, len(words))
        for word in words if width else ():
            code = crc32(word.encode())  # the same on every machine, unlike `hash`
            row[1 + len(COUNTS) + (code >> 1) % width] += 1.0 if code & 1 else -1.0
    bag = features[:, 1 + len(COUNTS) :]
    bag /= np.maximum(np.linalg.norm(bag, axis=1, keepdims=True), 1e-12)
    features.flags.writeable = False
    return features


def _counts(question: str, words: int) -> tuple[float, ...]:
    numbers = _DIGITS.findall(question)
    return (
        math.log1p(words) / 4.0,
        math.log1p(len(numbers)) / 2.0,
        math.log1p(len(re.findall(r"[.?!](?:\s|$)", question))) / 2.0,
        float(_PARTS.search(question.lower()) is not None),
        float("$" in question or "dollar" in question or "cents" in question),
        max((len(number) for number in numbers), default=0) / 4.0,
    )
