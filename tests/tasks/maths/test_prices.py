from __future__ import annotations

import json
from pathlib import Path

import pytest

from batonq.base.errors import DataError
from batonq.tasks.maths.prices import (
    Price,
    Prompt,
    call_cost,
    call_tokens,
    load_prices,
    tokens,
)

FRAME = Prompt("p", "p", characters=10, copies=2, source="made up")


def test_tokens_are_a_quarter_of_the_characters_rounded_up() -> None:
    assert [tokens(n) for n in (0, 1, 4, 5, 8)] == [0, 1, 1, 2, 2]
    assert call_tokens(FRAME, question=7, text=9) == (6, 3)  # 10 + 2 * 7 = 24 characters in


def test_cost_by_hand() -> None:
    price = Price("m", "m", input=1000.0, output=3000.0, passes=1, date="", source="")
    assert call_cost(price, 100, 10) == pytest.approx((100 * 1000 + 10 * 3000) / 1e6)
    twice = Price("m", "m", input=1000.0, output=3000.0, passes=2, date="", source="")
    assert call_cost(twice, 100, 10) == pytest.approx(2 * call_cost(price, 100, 10))


def test_every_packaged_price_has_a_date_and_a_source_or_a_class() -> None:
    prices = load_prices()
    for price in prices.models.values():
        assert price.date
        assert price.source.startswith("class:") or "http" in price.source, price.model
        assert 0 < price.input <= price.output
    for prompt in prices.prompts.values():
        assert prompt.source
        assert prompt.copies in (1, 2)
    names = [price.name for price in prices.models.values()]
    assert len(set(names)) == len(names)


def test_published_figures() -> None:
    prices = load_prices()
    mini, gpt4 = prices.model("gpt-4o-mini-2024-07-18"), prices.model("gpt-4-1106-preview")
    assert (mini.input, mini.output) == (15.0, 60.0)  # $0.15 and $0.60 per million
    assert (gpt4.input, gpt4.output) == (1000.0, 3000.0)


def test_frames_have_the_length_of_their_text() -> None:
    system = "You are a helpful assistant."
    frame = (
        "\nQ: \n\nYour final answer should be a single numerical number, in the form "
        "\\boxed{answer}, at the end of your response.\n\nA: "
    )
    think, again = "Let's think step by step.", " \n\nRead the question again: "
    prompts = load_prices().prompts
    assert prompts["vanilla-read1"].characters == len(system + frame)
    assert prompts["cot-read1"].characters == len(system + frame + think)
    assert prompts["vanilla-read2"].characters == len(system + frame + again)
    assert prompts["cot-read2"].characters == len(system + frame + think + again)
    assert prompts["tool-integrated (Python)"].characters == len("<|user|>\n\n<|assistant|>\n")


def test_unknown_names_and_bad_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no model 'x'"):
        load_prices().model("x")
    with pytest.raises(DataError, match="no prompt 'x'"):
        load_prices().prompt("x")
    path = tmp_path / "prices.json"
    entry = {"name": "m", "input": 1, "output": 2, "date": "2024", "source": "s"}
    path.write_text(json.dumps({"models": {"m": entry}, "prompts": {}}))
    assert load_prices(path).model("m").output == 2.0
    path.write_text(json.dumps({"models": {"m": {**entry, "input": -1}}, "prompts": {}}))
    with pytest.raises(DataError, match="'m' is negative"):
        load_prices(path)
    path.write_text(json.dumps({"models": {"m": {"name": "m"}}, "prompts": {}}))
    with pytest.raises(DataError, match="not complete"):
        load_prices(path)
