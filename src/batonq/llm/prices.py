"""What a call costs: dated, sourced prices of hosted models, and the weight of local ones.

A hosted model costs what its price file says; no price is known here, as prices age, and they have
the format of those of the recorded answers (`batonq/tasks/maths/prices.json`). A model in a file
costs nothing to ask, so its price is the work: thousand tokens times billions of parameters, which
`batonq.base.weights` knows of some files by their checksum.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from batonq.base.errors import DataError
from batonq.base.extras import need
from batonq.base.files import Json, read_json
from batonq.base.weights import WEIGHTS

WEIGHTED: Final = "weighted kilotokens"  # thousand tokens times billions of parameters
COUNTED: Final = "2026-11-30"  # when the weights of the known files were counted
_PER_MILLION: Final = " per million tokens"
_MILLION: Final = 1e6
_BILLION: Final = 1e9


@dataclass(frozen=True)
class Price:
    """The price of a model.

    Attributes:
        label: what people call the model.
        input: `unit` per million tokens read, at least 0.
        output: `unit` per million tokens written, at least 0.
        unit: "US cents", or another money, or `WEIGHTED`.
        date: when it was published.
        source: where.
        parameters: billions of them, of a local model; None for a hosted one.
    """

    label: str
    input: float
    output: float
    unit: str
    date: str
    source: str
    parameters: float | None = None

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """What a call costs, in `unit`."""
        return (self.input * tokens_in + self.output * tokens_out) / _MILLION


@dataclass(frozen=True)
class Prices:
    """Price files read.

    Attributes:
        models: prices by what a client calls its model.
        files: prices of local models by the SHA-256 of the file.
    """

    models: Mapping[str, Price]
    files: Mapping[str, Price]

    def hosted(self, model: str) -> Price:
        """The price of a model somebody serves.

        Raises:
            DataError: if no file has one.
        """
        if model not in self.models:
            raise DataError(
                f"no price is known for '{model}'; give a file with --prices: {_example(model)}"
            )
        return self.models[model]

    def local(self, path: Path, sha256: str) -> Price:
        """The price of a model in a GGUF file; its parameters are counted if nobody listed it.

        A file that stores one matrix twice has it counted twice.

        Raises:
            DataError: if the file cannot be read.
        """
        if sha256 in self.files:
            return self.files[sha256]
        source = "counted in the file"
        return _weighted(path.stem, _parameters(path), date="none", source=source)


def load_prices(paths: Iterable[Path] = ()) -> Prices:
    """What is known of local files, and price files; where several have a model, the last counts.

    Raises:
        DataError: if one cannot be read, or an entry is not complete or negative.
    """
    models: dict[str, Price] = {}
    files: dict[str, Price] = {
        one.file.sha256: _weighted(name, one.parameters, COUNTED, f"{one.repository}; counted")
        for name, one in WEIGHTS.items()
    }
    for path in paths:
        content = read_json(path)
        try:
            unit = _unit(content["unit"])
            models |= {name: _hosted(one, unit) for name, one in content["models"].items()}
            files |= {name: _listed(one) for name, one in content.get("files", {}).items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: an entry is not complete ({error!r}); mend it") from error
    return Prices(MappingProxyType(models), MappingProxyType(files))


def _example(model: str) -> str:
    """A price file for a model, but for the figures."""
    entry = {"name": model, "input": "CENTS", "output": "CENTS"}
    entry |= {"date": "YYYY-MM-DD", "source": "WHERE"}
    return json.dumps({"unit": f"US cents{_PER_MILLION}", "models": {model: entry}})


def _unit(told: str) -> str:
    if not told.endswith(_PER_MILLION):
        raise ValueError(f"the unit '{told}' is not '...{_PER_MILLION}'")
    return told.removesuffix(_PER_MILLION)


def _hosted(entry: Mapping[str, Json], unit: str) -> Price:
    passes = int(entry.get("passes", 1))  # how often a call's tokens are paid for
    if passes < 1:
        raise ValueError(f"{passes} passes pay for nothing")
    return Price(
        label=str(entry["name"]),
        input=passes * _amount(entry["input"]),
        output=passes * _amount(entry["output"]),
        unit=unit,
        date=str(entry["date"]),
        source=str(entry["source"]),
    )


def _listed(entry: Mapping[str, Json]) -> Price:
    name, date, source = (str(entry[key]) for key in ("name", "date", "source"))
    return _weighted(name, _amount(entry["parameters"]), date=date, source=source)


def _weighted(label: str, parameters: float, date: str, source: str) -> Price:
    each = 1000 * parameters
    return Price(label, each, each, WEIGHTED, date, source, parameters)


def _amount(told: Json) -> float:
    amount = float(told)
    if not 0 <= amount < float("inf"):
        raise ValueError(f"{told} is not a price")
    return amount


def _parameters(path: Path) -> float:
    """Billions of parameters in a GGUF file; takes seconds."""
    gguf = need("gguf", "llm")
    try:
        tensors = gguf.GGUFReader(path).tensors
    except Exception as error:  # the reader raises a dozen kinds on damaged files
        raise DataError(f"{path}: its parameters cannot be counted ({error})") from error
    return float(sum(int(tensor.n_elements) for tensor in tensors)) / _BILLION
