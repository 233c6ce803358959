import coin_experiment
import pytest

from batonq.study.experiment import Cell, Experiment, Table


@pytest.mark.parametrize("key", ["", "a/b", "..", ".hidden", "a b", "a" * 201, "ä"])
def test_a_key_that_is_no_file_name_is_refused(key):
    with pytest.raises(ValueError, match="a key starts with"):
        Cell(key, {})


@pytest.mark.parametrize(
    ("cells", "run_cell", "said"),
    [
        ([], coin_experiment.toss, "no cells"),
        ([Cell("a", {}), Cell("b", {}), Cell("b", {})], coin_experiment.toss, "2 cells .* 'b'"),
        ([Cell("a", {})], lambda config: config, "must be a function of a module"),
    ],
)
def test_an_experiment_that_cannot_run_is_refused(cells, run_cell, said):
    with pytest.raises(ValueError, match=said):
        Experiment("coin", {}, cells, run_cell, coin_experiment.summarise)


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match="table 'Shares': 1 cells for 2 columns"):
        Table("Shares", ("learner", "share"), (("icq", 0.5), ("random",)))
