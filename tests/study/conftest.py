from pathlib import Path

import coin_experiment
import pytest

from batonq.study.run import Result, run


@pytest.fixture(scope="session")
def coin_result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A finished run of the coin experiment; tests that change its folder copy it."""
    folder: Path = tmp_path_factory.mktemp("runs") / "coin"
    return run(coin_experiment.experiment(), folder, workers=2)
