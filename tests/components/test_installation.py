"""The first steps: what is installed, on which Python, and what is said after Ctrl-C."""

import os
import re
import tomllib
from functools import cache
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mobile_vla.errors import AGAIN
from mobile_vla.machine import contended
from support.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = {"mobile-vla": [], "mobile-vla-bundle": ["bundle"], "mobile-vla-lerobot": ["lerobot"]}


def pins(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and line[0] != "#"]
    return {canonicalize_name(name): version for name, version in pairs}


PINNED = pins("constraints.txt") | pins("requirements.txt")


@pytest.mark.parametrize("version", ["3.11.7", "3.12.1", "3.13.9"])
def test_pythons_that_the_pins_allow(version):
    allowed = PROJECT["project"]["requires-python"]
    assert version in SpecifierSet(allowed)
    assert "3.14.0" not in SpecifierSet(allowed) and "3.10.9" not in SpecifierSet(allowed)
    assert version.rpartition(".")[0] in (ROOT / "README.md").read_text()


def test_what_cuda_brings_on_linux_is_pinned():
    cuda = [name for name in PINNED if name.startswith(("nvidia-", "cuda-", "triton"))]
    assert len(cuda) >= 15 and all(re.fullmatch(r"[\d.]+", PINNED[name]) for name in cuda)


@cache
def requirements_of(name):
    return [Requirement(text) for text in requires(name) or []]


def closure(files):
    """Return the names of what requirements need on this machine, by the installed metadata."""
    waiting = [Requirement(name) for file in files for name in pins(file)]
    needed = set()
    while waiting:
        one = waiting.pop()
        extras = one.extras or {""}
        name = canonicalize_name(one.name)
        if (name, *sorted(extras)) in needed or name.startswith(("cuda-", "nvidia-", "triton")):
            continue
        needed.add((name, *sorted(extras)))
        waiting += [
            each
            for each in requirements_of(name)
            if each.marker is None or any(each.marker.evaluate({"extra": one}) for one in extras)
        ]
    return {name for name, *_ in needed}


def test_what_the_requirements_need_is_pinned():
    files = sorted(file.name for file in (ROOT / "envs").glob("requirements-[!s]*.txt"))
    assert closure(["requirements.txt", *files]) - set(PINNED) == set()


@pytest.mark.parametrize("name", CONDA)
def test_a_conda_file_alone_holds_the_pins_of_what_its_rules_need(name):
    """Snakemake copies it to another folder, where no file stands beside it."""
    file = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    python, _, packages = file["dependencies"]
    assert python.removeprefix("python=") + ".0" in SpecifierSet(
        PROJECT["project"]["requires-python"]
    )
    listed = dict(line.split("==") for line in packages["pip"])
    assert listed.items() <= PINNED.items()
    extras = [f"requirements-{one}.txt" for one in CONDA[name]]
    assert closure(["requirements.txt", *extras]) <= set(listed)
    assert not [one for one in listed if one.startswith("nvidia")]  # another build of PyTorch


def test_the_build_backend_is_pinned():
    assert PROJECT["build-system"]["requires"] == [f"setuptools=={PINNED['setuptools']}"]


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


def commands(page):
    """Return the lines of a page's blocks of commands."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


def test_ways_to_install_name_files_that_are_there_and_install_what_make_does():
    said = commands("docs/install.md")
    files = {file for line in said for file in re.findall(r"envs/[\w.-]+", line)}
    assert files and all((ROOT / file).is_file() for file in files)
    install = [line for line in said if line.startswith("pip install")][:2]
    assert [f"uv {line}" for line in install] == [one for one in said if one.startswith("uv pip")]
    makefile = (ROOT / "Makefile").read_text().replace(" --quiet", "")
    container = (ROOT / "Containerfile").read_text().replace(" --no-cache-dir", "")
    for line in install:
        assert f"$(BIN)/python -m {line}\n" in makefile
        assert f".venv/bin/{line}\n" in container


def test_the_conda_environment_is_called_as_its_file_says():
    name = yaml.safe_load((ROOT / "envs/mobile-vla.yaml").read_text())["name"]
    assert f"conda activate {name}" in commands("docs/install.md")


def test_what_debian_needs_is_said_and_is_what_the_container_installs():
    needed = "apt install git make python3-venv"
    assert needed in (ROOT / "README.md").read_text()
    assert needed in (ROOT / "docs/install.md").read_text()
    installed = re.search(r"--no-install-recommends (.*) \\", (ROOT / "Containerfile").read_text())
    assert installed is not None and set(installed[1].split()) == set(needed.split()[2:]) - {"make"}
