"""The guess at the order of colours, on the simulator's pictures."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.audit.audit_data import assess_data
from mobile_vla.config.audit import DataAuditSettings, Declared
from mobile_vla.config.ingest import Images
from mobile_vla.config.simulator import Simulation, simulated_episodes
from mobile_vla.ingest.image_statistics import strong_colors
from mobile_vla.ingest.resize import to_frame
from mobile_vla.ingest.result import StrongColors
from mobile_vla.simulator.camera import render
from mobile_vla.simulator.simulate import drive
from support.synthetic_datasets import facts_of

FRAMES = (2, 10, 18)


@pytest.fixture(scope="module")
def pictures():
    """A few raw pictures of each of 24 simulated episodes, by name, RGB."""
    found = {}
    for name, settings in simulated_episodes(Simulation(scenes=12)).items():
        driven = drive(settings)
        found[name] = [render(driven.scene, driven.poses[frame]) for frame in FRAMES]
    return found


def episode(name, images, read_as):
    shares = np.mean([strong_colors(to_frame(one, Images(color=read_as))) for one in images], 0)
    red, blue = shares.tolist()
    statistics = facts_of(name).image_statistics.model_copy(
        update={"strong": StrongColors(red=red, blue=blue)}
    )
    return facts_of(name, image_statistics=statistics)


def found(every, settled=False):
    declared = Declared(color_settled=settled)
    findings, _ = assess_data(every, DataAuditSettings(dataset="made", declared=declared))
    return [(one.code, one.episode) for one in findings if "color" in one.code or "bgr" in one.code]


def test_pictures_read_in_their_order_are_beyond_suspicion(pictures):
    every = [episode(name, images, "rgb") for name, images in pictures.items()]
    assert found(every) == []
    stored_swapped = [
        episode(name, [one[..., ::-1] for one in images], "bgr")
        for name, images in pictures.items()
    ]
    assert found(stored_swapped) == []
    assert [facts.image_statistics for facts in every] == [
        facts.image_statistics for facts in stored_swapped
    ]


def test_pictures_read_in_the_wrong_order_are_found_until_it_is_settled(pictures):
    wrong = [episode(name, images, "bgr") for name, images in pictures.items()]
    assert found(wrong) == [("probable_bgr", None)]
    assert found(wrong, settled=True) == []


def test_episodes_in_another_order_than_the_rest_are_found(pictures):
    odd = sorted(pictures)[:3]
    every = [
        episode(name, images, "bgr" if name in odd else "rgb") for name, images in pictures.items()
    ]
    assert found(every) == [("other_color_order", name) for name in odd]
    assert found(every, settled=True) == [("other_color_order", name) for name in odd]
