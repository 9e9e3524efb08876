"""The first steps: what is installed, on which Python, and what is said after Ctrl-C."""

import os
import re
import tomllib
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mobile_vla.errors import AGAIN
from mobile_vla.machine import contended
from support.project import ROOT


def pins(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return dict(line.lower().split("==") for line in lines if "==" in line and line[0] != "#")


PINNED = pins("constraints.txt") | pins("requirements.txt")


@pytest.mark.parametrize("version", ["3.11.7", "3.12.1", "3.13.9"])
def test_pythons_that_the_pins_allow(version):
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert version in SpecifierSet(allowed)
    assert "3.14.0" not in SpecifierSet(allowed) and "3.10.9" not in SpecifierSet(allowed)
    assert version.rpartition(".")[0] in (ROOT / "README.md").read_text()


def test_what_cuda_brings_on_linux_is_pinned():
    cuda = [name for name in PINNED if name.startswith(("nvidia-", "cuda-", "triton"))]
    assert len(cuda) >= 15 and all(re.fullmatch(r"[\d.]+", PINNED[name]) for name in cuda)


@pytest.mark.parametrize("package", ["torch", "snakemake", "transformers"])
def test_what_a_pinned_package_requires_is_pinned(package):
    required = [Requirement(text) for text in requires(package) or []]
    needed = {
        one.name.lower().replace("_", "-")
        for one in required
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }
    pinned = {name.replace("_", "-") for name in PINNED}
    assert needed - pinned == set()


def test_the_message_after_ctrl_c_and_the_readme_name_the_same_command():
    assert AGAIN in (ROOT / "README.md").read_text()
    for file in ("training/train.py", "cli.py"):
        text = (ROOT / "workflow/mobile_vla" / file).read_text()
        assert "AGAIN}" in text or "AGAIN)" in text
        assert "--rerun-incomplete" not in text


@pytest.mark.parametrize("load", [0.0, 1e9])
def test_a_python_that_does_not_know_its_own_cores_measures_all_the_same(monkeypatch, load):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert contended(load, 1.0, 1.0) == (load > 0)
