"""The report's page in a browser: sorting, filtering, themes, marks, paper, accessibility."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pypdf import PdfReader

from support.chromium import axe, printed, probe
from support.report import drawn, written
from support.results import make_results

A4 = 688, 1016  # CSS pixels of the paper's width and height within its margins
FIGURES = ("loss_curves", "error_by_dimension", "coverage", "episodes", "closed_loop")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = make_results(
        tmp_path_factory.mktemp("made"), 9, beats=[index != 1 for index in range(9)], dirty=True
    )
    return written(made, drawn(made, FIGURES)).read_text(encoding="utf-8")


def test_nothing_is_said_on_the_console_and_no_request_leaves(page: str, tmp_path: Path) -> None:
    names, console = probe(
        page, "return performance.getEntriesByType('resource').map((own) => own.name);", tmp_path
    )
    assert [name for name in names if not name.startswith("data:")] == []
    assert console == []
    # That the console is heard, and that the page's own policy stops what would leave it.
    script = "new Image().src = 'http://example.invalid/x.png'; return null;"
    _, console = probe(page, script, tmp_path)
    assert "Content Security Policy" in "".join(console)


def test_tables_sort_by_value_both_ways(page: str, tmp_path: Path) -> None:
    script = """
      const table = document.querySelector("#summary table");
      const heads = [...table.tHead.rows[0].cells];
      const column = heads.findIndex((head) => head.textContent.startsWith("error"));
      const valueOf = (row) => Number(row.cells[column].dataset.v);
      const read = () => [...table.tBodies[0].rows].map(valueOf);
      const before = read(), button = heads[column].querySelector("button");
      button.click();
      const up = read(), said = heads[column].getAttribute("aria-sort");
      button.click();
      return { before, up, said, down: read(), then: heads[column].getAttribute("aria-sort") };
    """
    found, _ = probe(page, script, tmp_path)
    assert len(found["before"]) == 9 and len(set(found["before"])) == 9
    assert found["up"] == sorted(found["before"]) and found["said"] == "ascending"
    assert found["down"] == found["up"][::-1] and found["then"] == "descending"


def test_a_filter_keeps_the_rows_that_hold_all_words(page: str, tmp_path: Path) -> None:
    script = """
      const input = document.querySelector("#summary .filter input");
      const rows = document.querySelector("#summary table").tBodies[0].rows;
      const name = (row) => row.cells[0].textContent.trim();
      const shown = () => [...rows].filter((row) => !row.hidden).map(name);
      const type = (text) => {
        input.value = text;
        input.dispatchEvent(new Event("input"));
        return shown();
      };
      return [type("LORA replay"), type("nobody"), type("").length];
    """
    found, _ = probe(page, script, tmp_path)
    assert [sorted(found[0]), *found[1:]] == [["lora", "lora_r8"], [], 9]


def test_columns_are_chosen_by_the_keyboard(page: str, tmp_path: Path) -> None:
    script = """
      const table = document.querySelector("#summary table");
      const box = table.closest(".scroll").nextElementSibling;
      const heads = () => [...table.tHead.rows[0].cells].filter((head) => !head.hidden).length;
      const cells = () => [...table.tBodies[0].rows].map(
        (row) => [...row.cells].filter((cell) => !cell.hidden).length);
      box.querySelector("summary").click();
      const found = [[heads(), new Set(cells())]];
      for (const name of ["skill", "language", "skill"]) {
        const labels = [...box.querySelectorAll("label")];
        const label = labels.find((own) => own.textContent.trim() === name);
        const input = label.querySelector("input");
        input.focus();
        if (document.activeElement !== input) return "not in the order of the keyboard";
        input.click();
        found.push([heads(), new Set(cells())]);
      }
      return [box.open, found.map(([head, rows]) => [head, ...rows])];
    """
    (opened, found), _ = probe(page, script, tmp_path)
    (first, *_), *_ = found
    assert opened
    assert found == [[count, count] for count in (first, first + 1, first, first - 1)]


def test_numbers_say_their_names_on_demand(page: str, tmp_path: Path) -> None:
    script = """
      const button = document.querySelector(".numbers"), tip = document.querySelector(".tip");
      const cell = document.querySelector("#summary [data-number]"), found = [];
      const look = () => {
        cell.focus();
        found.push(tip.hidden ? "" : tip.textContent);
        cell.blur();
      };
      look(); button.click(); look();
      cell.dispatchEvent(new PointerEvent("pointermove", { bubbles: true }));
      found.push(tip.textContent, button.getAttribute("aria-pressed"));
      button.click(); look();
      return found;
    """
    found, _ = probe(page, script, tmp_path)
    group = "comparison/groups/demo/experiments/"
    names = [re.sub(rf"{group}\w+/mae/", "", name) for name in found[1].split("\n")]
    assert names == ["value", "low", "high"]
    assert found == ["", found[1], found[1], "true", ""]


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_is_the_systems_until_one_is_chosen(
    page: str, tmp_path: Path, dark: bool
) -> None:
    script = """
      const color = () => getComputedStyle(document.body).backgroundColor;
      const button = document.querySelector(".theme"), found = [[button.textContent, color()]];
      for (let i = 0; i < 3; i++) { button.click(); found.push([button.textContent, color()]); }
      return found;
    """
    found, _ = probe(page, script, tmp_path, dark=dark)
    light, night = "rgb(255, 255, 255)", "rgb(18, 23, 29)"
    assert found == [
        ["Theme: auto", night if dark else light],
        ["Theme: light", light],
        ["Theme: dark", night],
        ["Theme: auto", night if dark else light],
    ]


def test_marks_say_their_value_to_the_pointer_and_to_the_keyboard(
    page: str, tmp_path: Path
) -> None:
    script = """
      const box = document.querySelector("#figure-loss_curves .scroll");
      const tip = document.querySelector(".tip");
      const mark = box.querySelector(".mark");
      const at = { bubbles: true, clientX: 9, clientY: 9, pointerType: "mouse" };
      mark.dispatchEvent(new PointerEvent("pointermove", at));
      const pointed = [tip.hidden, tip.textContent];
      box.focus();
      box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
      const live = document.querySelector("[aria-live]").textContent;
      box.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
      return [pointed, live, tip.hidden];
    """
    ((hidden, text), live, gone), _ = probe(page, script, tmp_path)
    assert not hidden and re.fullmatch(r"lora, epoch 0: training loss 0\.\d+", text)
    assert live == text and gone


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_no_wider_than_the_window(page: str, tmp_path: Path, width: int) -> None:
    # A headless window is at least 500 pixels wide, a frame in it is not.
    script = f"""
      const frame = document.createElement("iframe");
      frame.style.cssText = "width:{width}px;height:800px;border:0";
      document.body.append(frame);
      frame.contentDocument.documentElement.innerHTML = document.documentElement.innerHTML;
      const inner = frame.contentDocument;
      for (const own of inner.querySelectorAll("iframe")) own.remove();
      return [inner.documentElement.clientWidth, inner.documentElement.scrollWidth];
    """
    (given, needed), _ = probe(page, script, tmp_path, width=1400)
    assert given == width
    assert needed <= width


@pytest.mark.long
def test_no_figure_is_cut_on_paper(page: str, tmp_path: Path) -> None:
    # A word before each figure and one behind its caption must come out on the same sheet.
    marked = re.sub(r'<figure id="figure-(\w+)">', r"\g<0><small>begins:\1</small>", page)
    marked = re.sub(
        r"(figures/(\w+)\.svg, \.pdf, \.png</span>)(</figcaption>)",
        r"\1 <small>ends:\2</small>\3",
        marked,
    )
    sheets = PdfReader(printed(marked, tmp_path)).pages
    texts = [sheet.extract_text() for sheet in sheets]
    for name in FIGURES:
        (begins,) = [number for number, text in enumerate(texts) if f"begins:{name}" in text]
        (ends,) = [number for number, text in enumerate(texts) if f"ends:{name}" in text]
        assert begins == ends, name
    sizes = {(round(float(s.mediabox.width)), round(float(s.mediabox.height))) for s in sheets}
    assert sizes == {(595, 842)}  # A4, in points


@pytest.mark.long
def test_what_is_open_is_printed_and_with_the_setting_all(page: str, tmp_path: Path) -> None:
    def sheets(html: str, name: str) -> list[str]:
        (tmp_path / name).mkdir()
        pdf = PdfReader(printed(html, tmp_path / name))
        return [sheet.extract_text() for sheet in pdf.pages]

    page = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)  # most of what a print takes
    short, long = sheets(page, "open"), sheets(page.replace('print="open"', 'print="all"'), "all")
    assert len(short) < len(long)
    for text, closed in (("Errors on demo", False), ("workstation-3", True)):
        assert (text in " ".join(short)) != closed and text in " ".join(long)


def test_a_table_has_its_head_on_each_sheet_and_no_heading_stands_alone(
    page: str, tmp_path: Path
) -> None:
    before, caption, after = page.partition("Errors on demo")
    head, body, rest = after.partition("<tbody>")
    row = '<tr><th scope="row">one of many</th>' + "<td>1</td>" * 9 + "</tr>"
    long = f"{before}{caption}{head}{body}{row * 150}{rest}"
    sheets = [sheet.extract_text() for sheet in PdfReader(printed(long, tmp_path)).pages]
    with_rows = [text for text in sheets if "one of many" in text]
    assert len(with_rows) > 2
    assert all("policy or baseline" in text for text in with_rows)
    # All below it is closed.
    assert "Where the errors are" in page
    assert not any("Where the errors are" in text for text in sheets)


def test_nothing_is_wider_than_the_paper(page: str, tmp_path: Path) -> None:
    width, height = A4
    assert page.count("@media print") == 1
    script = f"""
      document.body.style.width = "{width}px";
      dispatchEvent(new Event("beforeprint"));
      for (const own of document.querySelectorAll("details")) own.open = true;
      return [...document.querySelectorAll("section figure[id]")].map((figure) => {{
        const own = figure.getBoundingClientRect();
        const svg = figure.querySelector("svg").getBoundingClientRect();
        return [figure.id, svg.width, own.height];
      }});
    """
    found, _ = probe(page.replace("@media print", "@media all"), script, tmp_path, width=width)
    assert len(found) == len(FIGURES)
    for name, wide, high in found:
        assert 0 < wide <= width + 1 and high <= height, name


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.long)])
def test_no_serious_accessibility_fault(page: str, tmp_path: Path, dark: bool) -> None:
    rules = 'runOnly: ["color-contrast"]' if dark else ""  # of a theme, colours alone differ
    script = f"""
      for (const own of document.querySelectorAll("details")) own.open = true;
      // A figure is an image with a text; its thousand parts would take axe most of the time.
      for (const own of document.querySelectorAll("svg")) own.replaceChildren();
      // The rows of a table are alike.
      for (const own of document.querySelectorAll("tbody tr:nth-child(n + 5)")) own.remove();
      const found = await axe.run({{ resultTypes: ["violations"], {rules} }});
      return found.violations.map(({{ impact, id, nodes }}) => [
        impact, id, nodes.length, nodes[0].html.slice(0, 200), nodes[0].failureSummary,
      ]);
    """
    source = axe().replace("</script", "<\\/script")
    body = page.replace("</body>", f"<script>{source}</script></body>")
    found, _ = probe(body, script, tmp_path, dark=dark)
    assert [own for own in found if own[0] in ("serious", "critical")] == []
