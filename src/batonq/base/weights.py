"""The weights of small language models that run here: which, and how to get them.

Like the data files (`batonq.base.data`) they are not part of the package. They lie in `models/`
below the data folder and come from their publisher's repository, 0.5 to 1.1 GB each. Sizes and
checksums are those of the files this project was made with; what the publisher serves today was
not compared with them, since no such host was within reach. The checksum decides: other bytes are
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from batonq.base.data import DataFile, Listed, below, content_sha256, given_folder, place
from batonq.base.download import Watch, download
from batonq.base.errors import DataError

HOST = "https://huggingface.co"
FOLDER = "models"
RIGHT_SIZE = "size as published"


@dataclass(frozen=True)
class Weights:
    """A model's weights, one GGUF file.

    Attributes:
        file: the file, as in the registry of data; not packed.
        repository: owner/name of the publisher's repository at `HOST`.
        size: bytes.
        parameters: the model's, in billions.
    """

    file: DataFile
    repository: str
    size: int
    parameters: float


def _weights(
    name: str,
    file: str,
    size: int,
    sha256: str,
    repository: str,
    parameters: float,
    holds: str,
    fetchable: bool = True,
) -> Weights:
    entry = DataFile(
        name=name,
        path=f"{FOLDER}/{file}",
        sha256=sha256,
        content_sha256=sha256,
        rows=None,
        sources=(f"{HOST.removeprefix('https://')}/{repository}",),
        licence="Apache-2.0",
        holds=f"{holds}; {parameters:g} billion parameters, {size / 1e6:,.0f} MB",
        fetchable=fetchable,
    )
    return Weights(entry, repository, size, parameters)


_ALL = (
    _weights(
        "qwen2.5-coder-0.5b",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        491_400_064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        0.494,
        "a weak model that writes short programs",
    ),
    _weights(
        "qwen2.5-coder-1.5b",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        1.54,
        "a better model that writes short programs",
    ),
    _weights(
        "smollm2-135m",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        0.135,
        "a model that answers by chance, to try things with; quantised from this source, not by "
        "its publisher",
        fetchable=False,
    ),
)
WEIGHTS: Mapping[str, Weights] = MappingProxyType({one.file.name: one for one in _ALL})


def named(name: str) -> Weights:
    """Return the registry's entry of that name.

    Raises:
        DataError: if there is none; the message lists the names there are.
    """
    try:
        return WEIGHTS[name]
    except KeyError:
        raise DataError(f"no model is called '{name}'; there are: {', '.join(WEIGHTS)}") from None


def locate(name: str, explicit: Path | None = None) -> Path:
    """Return where the weights called `name` lie; their content is not read.

    Args:
        name: a name of the registry.
        explicit: the data folder, the subfolder that holds the file, or the file itself. None: the
            variable BATONQ_DATA says.

    Raises:
        DataError: if the name is unknown, or the file is not there; says how to give it.
    """
    return place(named(name).file, explicit)


def listing(explicit: Path | None = None, check: bool = False) -> tuple[Listed, ...]:
    """Return every model with where its weights lie and what is known of their content.

    Args:
        explicit: as `locate`.
        check: whether to read the files and compare their checksums, some seconds each; else a
            file of the right size is listed as `RIGHT_SIZE`.
    """
    given = given_folder(explicit)
    found = [(one, below(one.file, given)) for one in WEIGHTS.values()]
    return tuple(Listed(one.file, path, _state(one, path, check)) for one, path in found)


def fetch(
    weights: Weights,
    into: Path,
    client: httpx.Client | None = None,
    host: str = HOST,
    watch: Watch | None = None,
) -> Path:
    """Fetch a model's weights below the folder `into` and return where they lie.

    A fetch that was cut off goes on where it was. A file that is there already is checked only.

    Args:
        weights: an entry of the registry that is fetchable.
        into: the data folder; made if need be.
        client: what to fetch with; see `download`.
        host: where repositories are served, as `HOST`/owner/name/resolve/main/file.
        watch: called with the number of bytes that are there.

    Raises:
        DataError: as `download`; or if its publisher serves no such file.
    """
    file = weights.file
    path = into / file.path
    if not file.fetchable:
        raise DataError(f"{file.name}: its publisher does not serve it; put it at {path}")
    url = f"{host.rstrip('/')}/{weights.repository}/resolve/main/{path.name}"
    download(url, path, weights.size, file.sha256, client, watch)
    return path


def _state(weights: Weights, found: Path | None, check: bool) -> str:
    if found is None:
        return "missing"
    if found.stat().st_size != weights.size:
        return "other content"
    if not check:
        return RIGHT_SIZE
    try:
        same = content_sha256(found) == weights.file.sha256
    except DataError:
        return "damaged"
    return "as published" if same else "other content"
