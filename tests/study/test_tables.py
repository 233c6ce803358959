import pytest

from batonq.study.rows import Interval, Row
from batonq.study.tables import pivot, text


def test_settings_that_vary_become_columns_and_the_rest_the_caption():
    rows = [
        Row({"dataset": "gsm8k", "lambda": 0.1}, "icq", "accuracy", 0.9, 0.8, 0.95, 10, "seeds"),
        Row({"dataset": "gsm8k", "lambda": 0.1}, "icq", "cost", 2.0),
        Row({"dataset": "gsm8k", "lambda": 0.2}, "random", "cost", None),
    ]
    table = pivot(rows)
    assert table.caption == "dataset gsm8k"
    assert table.columns == ("learner", "lambda", "accuracy", "cost")
    assert table.lines == (
        ("icq", 0.1, Interval(0.9, 0.8, 0.95, 10, "seeds"), Interval(2.0)),
        ("random", 0.2, None, None),
    )


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (None, "–"),
        ("icq", "icq"),
        (3, "3"),
        (2.0, "2"),
        (0.123456, "0.1235"),
        (1e-9, "1e-09"),
        (Interval(0.5), "0.5"),
        (Interval(0.5, 0.25, 0.75, 9, "seeds"), "0.50 [0.25, 0.75]"),
        (Interval(0.96612, 0.95501, 0.97702, 9, "seeds"), "0.966 [0.955, 0.977]"),
        (Interval(1234.5, 1100.0, 1400.0, 9, "seeds"), "1234 [1100, 1400]"),
        (Interval(5.0, 5.0, 5.0, 9, "seeds"), "5 [5, 5]"),
        (Interval(0.461, 0.000951, 223.7, 2, "seeds"), "0.46 [0.00095, 224]"),
        (Interval(0.2, 0.0, 1.9, 2, "seeds"), "0.2 [0.0, 1.9]"),
    ],
)
def test_cells_are_shown_in_as_many_digits_as_they_carry(cell, shown):
    assert text(cell) == shown
