from __future__ import annotations

import pytest

from mobile_vla.reporting import format as text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.15234, "0.152"),
        (0.0198, "0.0198"),
        (0.09996, "0.100"),
        (1.4142, "1.41"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (1664.4, "1664"),
        (-0.5, "−0.500"),
        (0.00001234, "1.23e−05"),
        (0.0, "0"),
        (None, "–"),
    ],
)
def test_number(value: float | None, said: str) -> None:
    assert text.number(value) == said


@pytest.mark.parametrize(
    ("share", "sign", "said"),
    [
        (-0.838, True, "−83.8 %"),
        (0.011, True, "+1.1 %"),
        (0.311, False, "31 %"),
        (0.0861, False, "8.6 %"),
        (2.96, False, "296 %"),
        (None, False, "–"),
        (-0.0004, True, "0.0 %"),
        (-0.0, True, "0.0 %"),
        (-0.0004, False, "0.0 %"),
        (0.0004, True, "0.0 %"),
        (0.995, False, "99.5 %"),  # the confidence of ten pairs
        (0.99951, False, "99.95 %"),
        (1.0, False, "100 %"),
    ],
)
def test_percent(share: float | None, sign: bool, said: str) -> None:
    assert text.percent(share, sign).replace(text.GLUE, " ") == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.8375, "84 %"),
        (0.0996, "10 %"),
        (0.0499, "5 %"),
        (0.004, "0.4 %"),
        (0.0, "0 %"),
        (0.996, "99.6 %"),
        (None, "–"),
    ],
)
def test_a_share_of_drives_has_as_many_digits_as_its_column(share: float | None, said: str) -> None:
    assert text.whole_percent(share).replace(text.GLUE, " ") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0253, "25.3 ms"),
        (0.25, "0.250 s"),
        (0.0, "0 s"),
        (42.12, "42.1 s"),
        (59.97, "1 min 00 s"),
        (200.4, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (None, "–"),
    ],
)
def test_duration(seconds: float | None, said: str) -> None:
    assert text.duration(seconds).replace(text.GLUE, " ") == said


def test_parameters_and_sizes() -> None:
    glued = [text.parameters(1_664_485_376), text.parameters(12_582_912), text.parameters(64)]
    glued += [text.size(50_331_648), text.size(2048), text.size(7)]
    said = [value.replace(text.GLUE, " ") for value in glued]
    assert said == ["1,664 M", "12.6 M", "64", "50.3 MB", "2.05 kB", "7 B"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.228, 0.2914, None], ["0.228", "0.291", "–"]),
        ([0.0980, 0.2281], ["0.0980", "0.2281"]),
        ([1.04, 0.15], ["1.040", "0.150"]),
        ([-0.0129, 0.00478], ["−0.01290", "0.00478"]),
        ([1.34, 0.000783], ["1.340", "0.001"]),
        ([1.34, -0.0000783], ["1.340", "0.000"]),  # and not −0.000
        ([-0.0, 0.0], ["0", "0"]),
        ([12345.6, 123.4], ["12,346", "123"]),
        ([], []),
        ([None], ["–"]),
    ],
)
def test_a_column_has_equal_digits(values: list[float | None], said: list[str]) -> None:
    assert text.aligned(values) == said


def test_intervals_have_the_digits_of_their_values() -> None:
    found = text.with_ends([(-0.0129, -0.02214, -0.00461), (0.0478, None, None)])
    assert found == [("−0.0129", "−0.0221", "−0.0046"), ("0.0478", "–", "–")]
    assert text.with_ends([]) == []
