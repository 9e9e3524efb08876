"""The report's words, in each language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mobile_vla.config.audit import CATALOGUE
from mobile_vla.config.reporting import FIGURES
from mobile_vla.errors import UserError
from mobile_vla.texts import Texts
from support.report import ENGLISH, SOURCES, TEMPLATES
from support.sentences import templates

KOREAN = Texts.of("ko")
LIBRARY = SOURCES.parent / "mobile_vla/reporting"

ASKED = r't(?:\.rich)?\(\s*"([a-z_]+\.[a-z_. ]+)"\s*[,)]'  # as a whole


def places(text: str | list[str]) -> set[str]:
    every = text if isinstance(text, list) else [text]
    return {name for one in every for name in re.findall(r"{(\w+(?:![rs])?(?::[^}]*)?)}", one)}


def test_both_languages_have_the_same_keys_and_the_same_places() -> None:
    meanings = [kind.meaning for kind in CATALOGUE.values()]
    sentences = {text: text for text in (*meanings, *templates())}
    codes = {f"name.{code}": "" for code in CATALOGUE}  # in English they are words themselves
    expected = {**codes, **sentences, **ENGLISH.table}
    assert set(KOREAN.table) == set(expected)
    shared = [key for key in KOREAN.table if key in ENGLISH.table]
    assert shared == list(ENGLISH.table)
    for key, text in expected.items():
        assert places(KOREAN.table[key]) == places(text), key


def test_every_text_is_korean_but_for_what_labs_write_in_english() -> None:
    for key, text in KOREAN.table.items():
        if not re.search("[가-힣]", str(text)):
            latin = re.findall(r"[A-Za-z]{2,}", re.sub(r"{\w+}", "", str(text)))
            assert len(latin) <= 3, (key, text)


def test_the_templates_and_the_library_ask_for_texts_that_there_are() -> None:
    sources = [*TEMPLATES, *LIBRARY.rglob("*.py")]
    asked = {key for path in sources for key in re.findall(ASKED, path.read_text())}
    assert len(asked) > 100
    figures = [name for names in FIGURES.values() for name in names]
    asked |= {f"{name}.{part}" for name in figures for part in ("title", "caption")}
    assert {key for key in asked if key not in ENGLISH.table} == set()


# What a number in a text is, where it is no value of the results: the range of skill, where
# counting starts, and how much a template shows. Names such as p99 and SHA-256 are no numbers.
CONSTANTS = {
    "summary.runs_note": ["1", "0", "100", "0"],
    "data.findings_note": ["200"],
    "data.unused_note": ["200"],
    "overfitting_gap.caption": ["0"],
    "predicted_paths.caption": ["1"],
    "evaluation.part_note": ["1"],
    "summary.note": ["0", "1"],
    "ranking.note": ["1"],
    "language.caption": ["0"],
    "differences.caption": ["0"],
    "evaluation.against_note": ["0"],
    "part.without_frame_0": ["0"],
    "latency.caption": ["99"],
    "training.padded": ["0"],
    "card.velocities": ["1"],
    "card.chosen": ["0"],
    "card.chosen_driven": ["0"],
    "ranks.lead": ["0", "1"],
}


@pytest.mark.parametrize("t", [ENGLISH, KOREAN])
def test_a_number_in_a_text_is_a_value_of_the_results(t: Texts) -> None:
    for key in ENGLISH.table:
        text = t.table[key]
        written = re.findall(r"(?<![A-Za-z\d-])\d+", re.sub(r"{\w+}|`[^`]*`", "", str(text)))
        assert set(written) <= set(CONSTANTS.get(key, [])), (key, written)


def test_one_and_many() -> None:
    assert [ENGLISH.count(n, "episode") for n in (1, 0, 1664)] == [
        "1 episode",
        "0 episodes",
        "1,664 episodes",
    ]


def test_values_are_escaped_in_rich_texts_alone(tmp_path: Path) -> None:
    path = tmp_path / "xx.yaml"
    path.write_text('a: "<em>{name}</em>"\n')
    t = Texts.read(path)
    assert t.rich("a", name="<b>") == "<em>&lt;b&gt;</em>"
    assert t("a", name="<b>") == "<em><b></em>"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 3\n", "a: found 3, expected a text or two texts"),
        ("a: [x]\n", "expected a text or two texts"),
        ("- a\n", "expected a text for each key"),
        ("a: '{b}'\n", r"a: KeyError\('b'\); a text may have these places: {n}"),
        ("a: [\n", "mend the file"),
        (None, "not there"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "xx.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        Texts.read(path)("a", n=1)


# What is best in the texts is a baseline, or an epoch by what selects it. No experiment is: the one
# with the lowest error need not arrive most often.
BEST = {
    "en": (
        r"(?i)\bbest\b",
        r"(?i)best (baseline|epoch|validation loss|\{loss\})|at best"
        r"|(baseline|baselines), the best of which|the best of them",
    ),
    "ko": (
        r"최고|가장 좋|최선|우수",
        r"최고 ?(기준선|epoch|검증 loss|\{loss\}|\{high\})|그중 최고",
    ),
}
OF_AN_EPOCH = "training.is_best"


@pytest.mark.parametrize("t", [ENGLISH, KOREAN])
def test_no_experiment_is_called_best(t: Texts) -> None:
    word, allowed = BEST["ko" if t is KOREAN else "en"]
    for key, text in t.table.items():
        if key != OF_AN_EPOCH:
            rest = re.sub(r"\{best\}", "", re.sub(allowed, "", str(text)))
            assert not re.search(word, " ".join(rest.split())), (key, rest)
    planned = "".join(path.read_text() for path in (LIBRARY.parent / "planning").glob("*.py"))
    assert planned and not re.search(BEST["en"][0], planned)


AMERICAN = r"(?i)\b(\w*(?:ized|izing|ization|izes|yzed)|optimizers?|colore?d?s?|gray|behaviors?)\b"


def test_the_page_has_one_spelling() -> None:
    for key, text in ENGLISH.table.items():
        written = re.sub(r"`[^`]*`|{\w+}", "", str(text))  # settings have their names
        assert re.findall(AMERICAN, written) == [], key
