from __future__ import annotations

import pytest

from mobile_vla.ingest.scenario import follows_scheme, parse_scenario


def scenario(*values):
    return dict(zip(("obstacles", "layout", "side", "style", "distance"), values, strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "episode_20251103_091241_1box_hori_left_core_close",
            scenario("1box", "hori", "left", "core", "close"),
        ),
        (
            "episode_20251103_091241_2box_vert_right_variant_far",
            scenario("2box", "vert", "right", "variant", "far"),
        ),
        ("episode_20251103_091241_1box_left", scenario("1box", None, "left", None, None)),
        ("Episode-1-RIGHT.medium", scenario(None, None, "right", None, "medium")),
        ("episode_20251103_091241", scenario(None, None, None, None, None)),
        ("leftover_rightly_boxes", scenario(None, None, None, None, None)),
        ("run_left_then_right_core", scenario(None, None, None, "core", None)),
        ("", scenario(None, None, None, None, None)),
    ],
)
def test_a_name_gives_the_parts_that_it_has(name, expected):
    found = parse_scenario(name)
    assert found == expected
    assert list(found) == ["obstacles", "layout", "side", "style", "distance"]


def test_the_scheme_wants_all_parts_in_order():
    assert follows_scheme("episode_20251103_091241_1box_hori_left_core_close")
    assert not follows_scheme("episode_20251103_091241_1box_left_hori_core_close")
    assert not follows_scheme("episode_20251103_091241_1box_hori_left_core")
    assert not follows_scheme("episode_20251103_091241_1box_hori_left_core_close_2")
