"""The demo's policy and what its robot sees, at the demo's size and without training it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.random_backbone import random_backbone
from mobile_vla.config.loading import read_project
from mobile_vla.data.prompts import render
from mobile_vla.layout import BackboneFiles
from mobile_vla.model.policy import Policy
from mobile_vla.simulator.camera import render as picture
from mobile_vla.simulator.driver import drive
from support.project import ROOT
from support.training_run import origin_of

EXPERIMENT = "lora"
SIDES = ("left", "right")


def demo_policy(folder: Path) -> Path:
    """Write the demo's policy and backbone below ``folder``; return the policy's folder."""
    file = ROOT / "config.yaml"
    project = read_project(file)
    backbone = folder / "backbones/tiny/backbone.json"
    random_backbone(project.backbone("tiny"), BackboneFiles(backbone))
    settings = project.train(EXPERIMENT, "seed0")
    checkpoint = Checkpoint.read(backbone)
    texts = tuple(render(settings.policy.prompt, {"side": side}) for side in SIDES)
    policy = Policy(settings.policy, checkpoint.model(), checkpoint.processor(), texts, seed=0)
    origin = origin_of(experiment=EXPERIMENT, windows=settings.windows)
    policy.save_pretrained(folder / "policy", checkpoint, origin)
    return folder / "policy"


def demo_pictures() -> list[np.ndarray]:
    """Return what the camera sees in one drive of the demo, each (720, 1280, 3) uint8."""
    file = ROOT / "config.yaml"
    project = read_project(file)
    simulated = project.simulation("demo")
    assert simulated is not None
    driven = drive(next(iter(simulated.values())))
    return [picture(driven.scene, pose) for pose in driven.poses]
