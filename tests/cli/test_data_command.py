import gzip
import json

import pytest


@pytest.fixture
def folder(tmp_path):
    """A data folder with one file, of other content than the project's."""
    path = tmp_path / "data" / "maths" / "gsm8k.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b'{"idx": 0}\n'))
    return tmp_path / "data"


def test_list_shows_every_file_and_whether_it_is_there(batonq, folder):
    done = batonq("data", "list", "--json", "--data", folder)
    assert (done.returncode, done.stderr) == (0, "")
    files = {line["name"]: line for line in json.loads(done.stdout)}
    assert files["gsm8k"]["state"] == "other content"
    assert files["gsm8k"]["path"] == str(folder / "maths" / "gsm8k.jsonl.gz")
    assert files["mathqa"]["state"] == "missing"
    assert all(line["licence"] and line["sources"] and line["sha256"] for line in files.values())
    table = batonq("data", "list", BATONQ_DATA=str(folder))
    assert table.returncode == 0
    assert all(name in table.stdout for name in files)
    assert "other content" in table.stdout


def test_path_prints_where_a_file_lies(batonq, folder):
    done = batonq("data", "path", "gsm8k", "--data", folder)
    assert (done.returncode, done.stdout) == (0, f"{folder / 'maths' / 'gsm8k.jsonl.gz'}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("path", "gsm9k"), "no data file is called 'gsm9k'"),
        (("path", "mathqa"), "no data folder was given"),
        (("fetch", "mathqa"), "no folder to put it in"),
        (("fetch", "recorded_gsm8k", "--data", "there"), "give the file with --data"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(batonq, words, said):
    done = batonq("data", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
