"""node.toml: read strictly, every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import BatonqError, DataError
from batonq.node.config import open_team, parse_config, picked, read_config, secret
from batonq.node.init import write_node

SMALL = '[units]\ngamma = 0.9\n[agents.intake]\nto = ["code", "end"]\n'


def test_what_init_writes_can_be_read_and_opened(tmp_path: Path) -> None:
    config, token = write_node(tmp_path / "n", ("intake", "search"), 0.9)
    read = read_config(config.parent)
    assert token.stat().st_mode & 0o077 == 0
    assert len(secret(config.parent, read.serve.token_file, "t") or "") >= 43
    with open_team(read, config.parent) as team:
        assert list(team.agents) == ["intake", "search"]
        assert team["intake"].decide({"kind": "bug"}).target == "search"
    with pytest.raises(DataError, match="is there already"):
        write_node(tmp_path / "n", ("intake",), 0.9)


def test_everything_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a-token-of-enough-length\n")
    (tmp_path / "out").chmod(0o600)
    text = """
name = "billing"
mode = "apply"
ttl = 60
[units]
gamma = 0.9
time_unit = "second"
quote_range = [-2, 3]
bits = 4
rounding = "stochastic"
[explore]
epsilon = 0.2
never = ["code"]
[limits]
hops = 3
budget = { usd = 1 }
[agents.intake]
fields = ["ticket.kind"]
text = ["body"]
extra = ["lang"]
to = { "search-fast" = "search", code = "code" }
steps = { power = 0.7 }
[peers.code]
url = "https://code.example/base/"
token_file = "out"
leak_bits = 4000
on_inflation = "shrink"
"""
    config = parse_config(text.encode())
    with open_team(config, tmp_path) as team:
        assert team.peers["code"].url == "https://code.example/base"
        assert team.peers["code"].token == "a-token-of-enough-length"  # noqa: S105
        assert team.declaration.scalar.bits == 4
        ticket = {"ticket": {"kind": "bug"}, "body": "it crashes", "lang": "en"}
        made = team["intake"].decide(ticket, veto=["code"])
        assert (made.action, made.target) == ("search-fast", "search")
        decision = next(iter(team.store.events()))
        assert decision.body["fields"] == {"lang": "en"}
        assert '"ticket.kind":"bug"' in decision.body["y"]
        assert "crashes" not in str(decision.body)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("gamma = 0.9", "gamma = 2"),
        ("gamma = 0.9", 'gamma = "0.9"'),
        ("gamma = 0.9", "gamma = nan"),
        ("gamma = 0.9", "gamma = true"),
        ("gamma = 0.9", 'gamma = 0.9\ncolour = "red"'),
        ('to = ["code", "end"]', "to = 7"),
        ('to = ["code", "end"]', 'learner = "deep"'),
        ("[agents.intake]", "[agent.intake]"),
        ("[units]", "[units"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(change: str, told: str) -> None:
    with pytest.raises(DataError, match=r"^node\.toml: [^\n]+$") as caught:
        parse_config(SMALL.replace(change, told).encode())
    words = {"gamma = nan": "units.gamma", "to = 7": "agents.intake.to"}
    assert words.get(told, "") in str(caught.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for text in (content, SMALL.encode() + content):
        try:
            parse_config(text)
        except BatonqError as error:
            assert "\n" not in str(error).strip() or "not TOML" in str(error)


def test_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="batonq node init"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(DataError, match="cannot be read"):
        secret(tmp_path, "none", "peers.code.token_file")


def test_a_token_that_others_may_read_or_that_is_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("a-token-of-enough-length")
    path.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        secret(tmp_path, "t", "x")
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(DataError, match="16 or more"):
        secret(tmp_path, "t", "x")


def test_fields_lead_into_nested_objects_and_may_be_missing() -> None:
    seen = picked(["a.b", "c", "d.e"], ["text"])
    assert seen({"a": {"b": 1}, "d.e": 2, "d": 3}) == {"a.b": 1, "c": None, "d.e": 2, "text": ""}
    assert seen(None) == {"a.b": None, "c": None, "d.e": None, "text": ""}
