"""What a recorded call cost: dated, sourced prices and an estimate of its tokens.

Prices are those published when the model was sold (`prices.json`, one source each); a model that
nobody sells by the token has the price of its class, and the reason is given there. Tokens are an
estimate: a quarter of the characters, rounded up, of what goes in and of what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from batonq.base.errors import DataError
from batonq.base.files import Json, read_json

_CHARACTERS_PER_TOKEN = 4
FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True)
class Price:
    """The price of a model.

    Attributes:
        model: its name in the records.
        name: its short name.
        input: US cents per million tokens read.
        output: US cents per million tokens written.
        passes: how often prompt and text are paid for in one call (1; more where an answer is the
            best of many samples).
        date: when the price was published.
        source: where; begins with "class:" where it is that of an equal model.
    """

    model: str
    name: str
    input: float
    output: float
    passes: int
    date: str
    source: str


@dataclass(frozen=True)
class Prompt:
    """The frame around a question.

    Attributes:
        prompt: its name in the records.
        name: its short name.
        characters: length of the frame without the question.
        copies: how often the question is repeated in it.
        source: where the frame was read.
    """

    prompt: str
    name: str
    characters: int
    copies: int
    source: str


@dataclass(frozen=True)
class Prices:
    """A price file: its models and prompts by the names used in the records."""

    models: Mapping[str, Price]
    prompts: Mapping[str, Prompt]

    def model(self, name: str) -> Price:
        """Return the price of a recorded model.

        Raises:
            DataError: if the file has none.
        """
        if name not in self.models:
            raise _unknown("model", name)
        return self.models[name]

    def prompt(self, name: str) -> Prompt:
        """Return the frame of a recorded prompt.

        Raises:
            DataError: if the file has none.
        """
        if name not in self.prompts:
            raise _unknown("prompt", name)
        return self.prompts[name]


def load_prices(path: Path | None = None) -> Prices:
    """Read a price file, or the packaged one.

    Raises:
        DataError: if it cannot be read or an entry is not complete.
    """
    return _packaged() if path is None else _read(path)


def tokens(characters: int) -> int:
    """Return the estimated tokens of so many characters: a quarter, rounded up."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def call_tokens(prompt: Prompt, question: int, text: int) -> tuple[int, int]:
    """Return the tokens that go in and come out of one call.

    Args:
        prompt: the frame.
        question: characters of the question.
        text: characters of the answer's text.
    """
    return tokens(prompt.characters + prompt.copies * question), tokens(text)


def call_cost(price: Price, tokens_in: int, tokens_out: int) -> float:
    """Return the US cents of one call."""
    return price.passes * (price.input * tokens_in + price.output * tokens_out) / 1e6


@cache
def _packaged() -> Prices:
    return _read(FILE)


def _read(path: Path) -> Prices:
    content = read_json(path)
    try:
        models = {name: _price(name, entry) for name, entry in content["models"].items()}
        prompts = {name: _prompt(name, entry) for name, entry in content["prompts"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: an entry is not complete ({error}); see prices.json") from error
    for price in models.values():
        if price.input < 0 or price.output < 0 or price.passes < 1:
            raise DataError(f"{path}: the price of '{price.model}' is negative; correct it")
    return Prices(MappingProxyType(models), MappingProxyType(prompts))


def _price(name: str, entry: Mapping[str, Json]) -> Price:
    return Price(
        model=name,
        name=str(entry["name"]),
        input=float(entry["input"]),
        output=float(entry["output"]),
        passes=int(entry.get("passes", 1)),
        date=str(entry["date"]),
        source=str(entry["source"]),
    )


def _prompt(name: str, entry: Mapping[str, Json]) -> Prompt:
    return Prompt(
        prompt=name,
        name=str(entry["name"]),
        characters=int(entry["characters"]),
        copies=int(entry["copies"]),
        source=str(entry["source"]),
    )


def _unknown(kind: str, name: str) -> DataError:
    return DataError(f"the price file has no {kind} '{name}'; add it with its date and source")
