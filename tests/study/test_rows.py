import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.study.rows import LEARNERS, METRICS, Interval, Row, document, to_csv

number = st.none() | st.floats(allow_nan=False, allow_infinity=False)
settings = st.dictionaries(
    st.sampled_from(["dataset", "pool", "lambda", "folds"]),
    st.text(max_size=5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def row(draw):
    low, high = draw(st.tuples(number, number))
    if low is not None and high is not None:
        low, high = sorted((low, high))
    words = draw(st.sampled_from(sorted(LEARNERS))), draw(st.sampled_from(sorted(METRICS)))
    return Row(draw(settings), *words, draw(number), low, high, draw(st.integers(0)), "seeds")


def test_the_object_has_the_fields_of_the_published_schema():
    line = Interval(0.5, 0.4, 0.6, 1319, "questions").row(
        {"dataset": "gsm8k", "lambda": 0.003}, "icq", "accuracy"
    )
    assert document("maths", {"folds": 5}, 1.23456, [line]) == {
        "schema": 1,
        "experiment": "maths",
        "config": {"folds": 5},
        "seconds": 1.235,
        "rows": [
            {
                "setting": {"dataset": "gsm8k", "lambda": 0.003},
                "learner": "icq",
                "metric": "accuracy",
                "value": 0.5,
                "low": 0.4,
                "high": 0.6,
                "n": 1319,
                "n_kind": "questions",
            }
        ],
    }


@given(st.lists(row(), max_size=4))
def test_rows_survive_json(rows):
    text = json.dumps([line.to_json() for line in rows], allow_nan=False)
    assert [Row(**line) for line in json.loads(text)] == rows


@given(st.lists(row(), min_size=1, max_size=4))
def test_csv_has_one_line_per_row_and_every_setting(rows):
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(lines) == len(rows)
    for line, original in zip(lines, rows, strict=True):
        assert line["learner"] == original.learner
        assert {key: line[key] for key in original.setting} == {
            key: str(value) for key, value in original.setting.items()
        }
        value = line["value"]
        assert (None if value == "" else float(value)) == original.value


def test_csv_quotes_a_stray_line_end():
    row = Row({"dataset": "a\rb"}, "icq", "accuracy", 0.5)
    (line,) = csv.DictReader(io.StringIO(to_csv([row])))
    assert line["dataset"] == "a\rb"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learner": "ic-q"}, "unknown learner 'ic-q'"),
        ({"metric": "precision"}, "unknown metric 'precision'"),
        ({"n_kind": "folds"}, "unknown n_kind 'folds'"),
        ({"value": math.nan}, "value is nan"),
        ({"high": math.inf}, "high is inf"),
        ({"setting": {"lambda": math.nan}}, "lambda is nan"),
        ({"low": 0.7, "high": 0.6}, "low 0.7 is above high 0.6"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused(changed, said):
    fields = {"setting": {}, "learner": "icq", "metric": "accuracy", "value": 0.5}
    with pytest.raises(ValueError, match=said):
        Row(**{**fields, **changed})
