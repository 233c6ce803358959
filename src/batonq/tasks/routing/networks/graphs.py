"""Networks by name or path, and which ones a scenario takes where none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from batonq.base.data import FILES, given_folder, locate
from batonq.base.errors import DataError
from batonq.tasks.routing.networks import nsfnet
from batonq.tasks.routing.networks.generated import PREFIX, random_network
from batonq.tasks.routing.networks.graphml import read_graphml
from batonq.tasks.routing.networks.network import Network

LOADED: Final = ("Abilene", "Sprint", nsfnet.NAME, "Geant2012", "Tinet")
REGISTERED: Final = tuple(name for name, file in FILES.items() if file.path.endswith(".graphml"))
WITHOUT_DATA: Final = (nsfnet.NAME, f"{PREFIX}30")


def find(name: str, data: Path | None = None) -> Network:
    """Return a network.

    Args:
        name: "NSFNET" (14 routers, built in), "random-N" (N routers, always the same), the name of
            a graph of the data registry, or the path of a GraphML file.
        data: the data folder; None: the variable BATONQ_DATA says.

    Raises:
        DataError: if there is no such network, or its file cannot be read.
    """
    if name == nsfnet.NAME:
        return nsfnet.nsfnet()
    if name.startswith(PREFIX) and name.removeprefix(PREFIX).isdecimal():
        return random_network(int(name.removeprefix(PREFIX)))
    if name in REGISTERED:
        return read_graphml(locate(name, data))
    if Path(name).suffix or len(Path(name).parts) > 1 or Path(name).exists():
        return read_graphml(Path(name))
    raise DataError(
        f"no network is called '{name}'; give {nsfnet.NAME}, {PREFIX}N with a number N of routers, "
        f"the path of a GraphML file, or one of {', '.join(REGISTERED)}"
    )


def usual(loaded: bool, data: Path | None = None) -> tuple[str, ...]:
    """Return the names of the networks a scenario takes where none is named.

    Without a data folder these are NSFNET and a random network of 30 routers.

    Args:
        loaded: the five of the scenarios with traffic; else every graph of the registry and NSFNET.
        data: the data folder; None: the variable BATONQ_DATA says.
    """
    if given_folder(data) is None:
        return WITHOUT_DATA
    return LOADED if loaded else (nsfnet.NAME, *REGISTERED)


def chosen(
    names: tuple[str, ...], loaded: bool, data: Path | None = None
) -> list[tuple[str, Network]]:
    """Return the networks to run on with the names they were asked for by, each once.

    Args:
        names: as `find` takes them; empty takes the usual ones.
        loaded: as `usual` takes it.
        data: the data folder; None: the variable BATONQ_DATA says.

    Raises:
        DataError: for a network that cannot be read, or two that tables could not tell apart.
    """
    wanted = dict.fromkeys(names or usual(loaded, data))
    found = [(name, find(name, data)) for name in wanted]
    called: dict[str, str] = {}
    for name, network in found:
        if network.name in called:
            raise DataError(
                f"'{called[network.name]}' and '{name}' are both called {network.name} in tables; "
                "rename one of the files, or leave one out"
            )
        called[network.name] = name
    return found
