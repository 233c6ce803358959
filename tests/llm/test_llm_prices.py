"""Prices: from files that say when and where, the weight of local models, and nothing invented."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import batonq.tasks.maths
from batonq.base.errors import DataError
from batonq.llm.prices import WEIGHTED, Price, load_prices

RECORDED = Path(batonq.tasks.maths.__file__).with_name("prices.json")
ENTRY = {"name": "m", "input": 15, "output": 60, "date": "2024-07-18", "source": "a page"}
UNIT = "US cents per million tokens"


def written(folder: Path, models: object, name: str = "prices.json", **more: object) -> Path:
    """A price file."""
    path = folder / name
    path.write_text(json.dumps({"unit": UNIT, "models": models, **more}))
    return path


def test_a_price_is_read_and_a_call_costs_what_it_says(tmp_path):
    price = load_prices([written(tmp_path, {"m": ENTRY})]).hosted("m")
    assert price == Price("m", 15.0, 60.0, "US cents", "2024-07-18", "a page")
    assert price.cost(1_000_000, 0) == 15.0
    assert price.cost(200, 50) == (15 * 200 + 60 * 50) / 1e6
    assert price.cost(0, 0) == 0.0


def test_the_prices_of_the_recorded_answers_are_in_the_same_format():
    price = load_prices([RECORDED]).hosted("gpt-4o-mini-2024-07-18")
    assert (price.input, price.output, price.unit) == (15.0, 60.0, "US cents")
    assert price.source.startswith("OpenAI")


def test_a_call_that_is_paid_for_several_times_costs_so_much_more(tmp_path):
    price = load_prices([written(tmp_path, {"m": {**ENTRY, "passes": 3}})]).hosted("m")
    assert (price.input, price.output) == (45.0, 180.0)


def test_the_last_file_counts(tmp_path):
    one = written(tmp_path, {"m": ENTRY, "n": ENTRY}, "one.json")
    two = written(tmp_path, {"m": {**ENTRY, "input": 1}}, "two.json")
    prices = load_prices([one, two])
    assert (prices.hosted("m").input, prices.hosted("n").input) == (1.0, 15.0)


def test_another_money_is_a_unit_like_any(tmp_path):
    path = written(tmp_path, {"m": ENTRY}, unit="euro cents per million tokens")
    assert load_prices([path]).hosted("m").unit == "euro cents"


def test_no_hosted_model_has_a_price_that_nobody_gave():
    with pytest.raises(DataError, match=r"no price is known for 'm'; give a file with --prices"):
        load_prices().hosted("m")


def test_the_file_that_the_message_shows_is_one_that_is_read(tmp_path):
    with pytest.raises(DataError) as error:
        load_prices().hosted("m")
    shown = str(error.value).split("--prices: ")[1].replace('"CENTS"', "15")
    path = tmp_path / "prices.json"
    path.write_text(shown)
    assert load_prices([path]).hosted("m").input == 15.0


@pytest.mark.parametrize(
    "entry",
    [
        *({key: value for key, value in ENTRY.items() if key != left} for left in ENTRY),
        {**ENTRY, "input": -1},
        {**ENTRY, "output": float("nan")},
        {**ENTRY, "output": float("inf")},
        {**ENTRY, "input": "much"},
        {**ENTRY, "passes": 0},
        [],
        None,
    ],
)
def test_an_entry_that_is_not_complete_is_refused_with_its_file(tmp_path, entry):
    path = written(tmp_path, {"m": entry})
    with pytest.raises(DataError, match=f"{re.escape(str(path))}: an entry is not complete"):
        load_prices([path])


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"unit": 3, "models": {}}', '{"unit": "cents", "models": {}}']
)
def test_a_file_of_another_form_is_refused(tmp_path, content):
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(DataError, match="an entry is not complete"):
        load_prices([path])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        load_prices([tmp_path / "none.json"])


@pytest.mark.parametrize(
    ("sha256", "parameters", "name"),
    [
        (
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            0.494,
            "qwen2.5-coder-0.5b",
        ),
        (
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            1.54,
            "qwen2.5-coder-1.5b",
        ),
        (
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            0.135,
            "smollm2-135m",
        ),
    ],
)
def test_a_known_file_costs_its_tokens_times_its_parameters(sha256, parameters, name):
    price = load_prices().local(Path("anything.gguf"), sha256)
    assert (price.label, price.parameters, price.unit) == (name, parameters, WEIGHTED)
    assert price.cost(600, 400) == pytest.approx(parameters, rel=1e-12)
    assert price.date == "2026-11-30"
    assert price.source.startswith(("Qwen/Qwen2.5-Coder-", "HuggingFaceTB/SmolLM2-135M"))


def test_the_parameters_of_an_unknown_file_are_counted(tmp_path):
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("a", np.zeros((8, 1000), np.float32))
    writer.add_tensor("b", np.zeros(500, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    price = load_prices().local(path, "0" * 64)
    assert price == Price("tiny", 0.0085, 0.0085, WEIGHTED, "none", "counted in the file", 8.5e-6)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + b"\xff" * 100])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    pytest.importorskip("gguf")
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.gguf: its parameters cannot be counted"):
        load_prices().local(path, "0" * 64)
