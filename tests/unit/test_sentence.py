"""Sentences of results: English as they are, and the same values in another language."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.result import Result
from mobile_vla.sentence import Sentence, first_of, say, verbatim
from mobile_vla.texts import Texts

KOREAN, ENGLISH = Texts.of("ko"), Texts.of("en")
NAMES = [f"e{index}" for index in range(11)]
TEN = ", ".join(NAMES[:10])
WHEN = say("{frames} after a command", frames=say("{n} frames", n=2))


@pytest.mark.parametrize(
    ("sentence", "english", "korean"),
    [
        (say("at least one"), "at least one", "적어도 하나"),
        (say("less than {share:.0%}", share=np.float32(0.5)), "less than 50%", "50% 미만"),
        (say("put {{side}} into `prompt.template`"), "put {side} into `prompt.template`", None),
        (WHEN, "2 frames after a command", "명령보다 2프레임 뒤"),
        (first_of(3, WHEN), "2 frames after a command, and 2 more", None),
        (first_of(1, WHEN), "2 frames after a command", "명령보다 2프레임 뒤"),
        (verbatim((2, 3)), "(2, 3)", "(2, 3)"),
        (verbatim("{not a place}"), "{not a place}", "{not a place}"),
        (
            say("files that the pattern does not match: {files}", files=NAMES),
            f"files that the pattern does not match: {TEN} and 1 more",
            f"pattern에 맞지 않는 파일: {TEN} 외 1개",
        ),
    ],
)
def test_a_sentence_reads_in_both_languages(
    sentence: Sentence, english: str, korean: str | None
) -> None:
    class Holder(Result):
        why: Sentence

    read = Holder.model_validate_json(Holder(why=sentence).model_dump_json()).why
    assert str(read) == ENGLISH.said(read) == english
    assert korean is None or KOREAN.said(read) == korean
    assert read == sentence and len({read, sentence}) == 1


def test_a_place_reads_in_both_languages() -> None:
    place = "images, frames 3-5, 7"
    assert ENGLISH.place(place) == place
    assert KOREAN.place(place) == "images, 프레임 3-5, 7"
    assert KOREAN.place("data/demo_1, frame 2") == "data/demo_1, 프레임 2"
