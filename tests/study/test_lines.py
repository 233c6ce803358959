"""Lines to reach: counted, listed and told."""

from __future__ import annotations

from batonq.study.lines import Line, counted, missed, to_reach, told
from batonq.study.rows import Interval

GOOD = Line("size 3", "accuracy", 1.0, "1", True)
BAD = Line("size 4", "value", Interval(0.5, 0.4, 0.6, 5, "seeds"), "at least .9", False, "why")
NONE = Line("size 5", "slope", None, "1", False)


def test_lines_are_counted_and_what_is_missed_is_told():
    assert counted([GOOD, BAD, NONE]) == "1 of 3 lines reached."
    assert missed([GOOD, BAD, NONE]) == (
        "Not reached: size 4, value: 0.50 [0.40, 0.60]; size 5, slope: not available."
    )
    assert missed([GOOD]) == ""
    assert told(GOOD) == "1"


def test_the_section_has_a_line_for_each():
    section = to_reach([GOOD, BAD], "part", "how to read it")
    (table,) = section.tables
    assert section.text == "how to read it"
    assert table.columns[0] == "part"
    assert [line[4] for line in table.lines] == ["yes", "NO"]
    assert table.lines[1][2] == BAD.figure
