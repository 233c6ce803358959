import pytest

from batonq.base.errors import DataError
from batonq.tasks.registry import SUMMARISE, summariser


@pytest.mark.parametrize("name", SUMMARISE)
def test_every_registered_place_exists(name):
    module, function = SUMMARISE[name].split(":")
    found = summariser(name)
    assert (found.__module__, found.__qualname__) == (module, function)


def test_an_unknown_experiment_is_refused():
    with pytest.raises(DataError, match="experiment 'coin' is unknown to this batonq; it knows c"):
        summariser("coin")
