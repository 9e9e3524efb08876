"""What a release says of itself: version, citation, changes, and the licences of others' data."""

import json
import re
import tomllib

import jsonschema
import yaml

from support.project import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DATA = ROOT / "tests/data"


def test_the_citation_is_valid_and_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    form = json.loads((DATA / "citation-file-format/schema.json").read_text())
    jsonschema.validate(citation, form)
    assert citation["version"] == VERSION


def test_the_newest_release_among_the_changes_is_this_version():
    changes = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## (\S+)", changes, re.M)
    assert next(one for one in releases if one != "Unreleased") == VERSION


def test_data_of_others_are_listed_with_their_licence():
    rows = re.findall(r"^\| `(.+?)`.* \| (.+) \|$", (DATA / "README.md").read_text(), re.M)
    listed = {file for place, licence in rows if licence for file in DATA.glob(place)}
    for file in DATA.rglob("*"):
        if file.is_file() and file.name not in ("README.md", "LICENSE.txt"):
            assert any(one == file or one in file.parents for one in listed), file
