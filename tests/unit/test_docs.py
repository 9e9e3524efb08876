"""The pages in docs: printed ones are in step with the code, and what they link to is there."""

import ast
import re
from dataclasses import fields

import pytest

from support.files_page import FORMS, PAGE, groups, page
from support.project import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)")
STOP = re.compile(r"\]\(\.\./(workflow/[^)]+\.py)\)((?:,? ?`[\w.]+`)+)")


def test_the_page_of_files_is_as_printed():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_json_and_csv_of_a_stage_has_a_typed_form():
    typed = {
        (group.__name__, field.name)
        for group in groups()
        for field in fields(group)
        if field.default.suffix in (".json", ".csv")
    }
    assert typed - {("TableFiles", "csv")} == set(FORMS)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_what_a_page_links_to_is_there(file):
    links = LINK.findall(file.read_text(encoding="utf-8"))
    assert [link for link in links if not (file.parent / link).exists()] == []


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_a_link_into_a_page_names_a_heading(file):
    for linked, anchor in ANCHOR.findall(file.read_text(encoding="utf-8")):
        target = file.parent / linked if linked else file
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        # as GitHub makes them: lower case, without punctuation, with hyphens for spaces
        anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
        assert anchor in anchors, (linked, anchor)


def definitions(file):
    """Return the names of a module's functions and classes, and ``Class.method``."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if hasattr(inner, "name")}
    return names


def test_the_tour_names_functions_that_there_are():
    stops = STOP.findall((ROOT / "docs/tour.md").read_text(encoding="utf-8"))
    assert len(stops) >= 15
    for file, names in stops:
        assert set(re.findall(r"[\w.]+", names)) <= definitions(ROOT / file), file
