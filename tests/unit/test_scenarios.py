"""The table of scenarios: what it says, and every mistake with its line."""

import pytest

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import Problems
from mobile_vla.ingest.recorded import recorded_episodes, recorded_files
from mobile_vla.ingest.scenarios import read_scenarios

GOOD = "episode,side,distance\na,left,far\nb,right,\n"
SAID = {"a": {"side": "left", "distance": "far"}, "b": {"side": "right"}}


@pytest.fixture
def table(tmp_path):
    def write(text, **how):
        path = tmp_path / "scenarios.csv"
        path.write_bytes(text.encode(how.get("encoding", "utf-8")))
        return path

    return write


def read(path, *episodes):
    return read_scenarios(path, episodes, "config.yaml:7 (datasets.lab.scenarios)")


def test_an_empty_cell_says_nothing(table):
    assert read(table(GOOD), "a", "b") == {
        "a": {"side": "left", "distance": "far"},
        "b": {"side": "right"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", " , "),
        GOOD + "\n,,\n",
        'distance,"side","episode"\nfar,"left",a\n,right,b\n',
        GOOD + "c,left,near\n",
    ],
)
def test_its_writing_and_lines_of_others_change_nothing(table, text):
    assert read(table(text), "a", "b") == SAID


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", ":1", "an empty table"),
        ("side\nleft\n", ":1", "no column 'episode'"),
        ("episode\na\n", ":1", "no column but 'episode'"),
        ("episode,colour\na,red\n", ":1", "unknown column 'colour'"),
        ("episode,side,side\na,left,left\n", ":1", "the column 'side' 2 times"),
        ("episode;side\na;left\n", ":1", "one cell, 'episode;side'"),
        ("episode,side\na,left\n\na,right\n", ":4", "'a', which stands in line 2, too"),
        ("episode,side\na,left\nb,links\n", ":3 (side)", "found 'links'"),
        ("episode,side\na,left,far\n", ":2", "3 cells"),
        ("episode,layout\na," + "x" * 101 + "\n", ":2 (layout)", f"found {'x' * 100!r}"),
        ('episode,layout\n"a\nb",x\na,left,1\n', ":4", "3 cells"),
        ('episode,layout\na,"x\n', ":2", "no CSV: unexpected end of data"),
        ("episode,side\nb,left\n", "", "no line for a; it has lines for b, which are none"),
        ("episode,side\n", "", "no line for a"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(table, text, line, found):
    path = table(text)
    with pytest.raises(Problems) as caught:
        read(path, "a")
    (problem,) = caught.value.problems
    assert (problem.place, problem.found) == (f"{path}{line}", found)
    assert "config.yaml:7 (datasets.lab.scenarios)" in str(caught.value)


def test_all_mistakes_are_listed_at_once(table):
    with pytest.raises(Problems, match="4 problems"):
        read(table("episode,side\na,links\na,rechts\nb\n"), "a")


def test_a_file_that_is_no_table_is_said(table, tmp_path):
    for path, found in (
        (tmp_path / "none.csv", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (table("episode,side\nä,left\n", encoding="latin-1"), "byte 0xe4 that is no UTF-8"),
    ):
        with pytest.raises(Problems, match=found):
            read(path, "a")


def test_each_episode_is_given_its_line(table, tmp_path):
    (tmp_path / "raw").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"raw/{name}.h5").touch()
    settings = {"kind": "recorded", "path": str(tmp_path / "raw"), "scenarios": str(table(GOOD))}
    dataset, source = RecordedDataset.model_validate(settings), Source()
    files = recorded_files("lab", dataset, source)
    found = recorded_episodes("lab", dataset, files, source, tmp_path / "cache.json")
    assert {name: one.settings.scenario for name, one in found.items()} == read(
        table(GOOD), "a", "b"
    )
    assert dataset.declared.has_scenarios
