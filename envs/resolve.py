"""Resolve what the requirements need on each platform, and pin it in constraints.txt and *.yaml.

    pip install uv
    python envs/resolve.py              keep the pins, add what is missing, drop what nobody needs
    python envs/resolve.py --upgrade    newest versions of what the requirements do not pin

The pins are the same on all platforms and Pythons: where no version fits all, uv says which
packages are to blame. Everything is to be had as a wheel, except SOURCES.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterable
from itertools import product
from pathlib import Path

ENVS = Path(__file__).parent
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin")
PYTHONS = ("3.11", "3.12", "3.13")
Place = tuple[str, str]
"""Platform and Python."""
MACOS = "14.0"  # PyTorch's wheels need it
SOURCES = ("connection-pool",)
"""Packages without wheels; they have no compiled code."""
CUDA = ("cuda-", "nvidia-", "triton")
"""How names begin that PyTorch's build for NVIDIA GPUs brings; it pins them itself."""

CONSTRAINTS = """\
# Dependencies of the pinned packages, pinned as well; written by envs/resolve.py.
# Those of `cuda`, `nvidia` and `triton` come with PyTorch's build for NVIDIA GPUs on Linux only.
"""
CONDA_PYTHON = "3.12"
CONDA_FILE = """\
# Conda environment of {purpose}; written by envs/resolve.py.
# The pins stand here, since Snakemake copies this file to another folder. It is also for
# `conda env create --file`: docs/install.md.
name: {name}
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python={python}
  - pip
  - pip:
"""
CONDA = {
    "mobile-vla": ("the rules", ()),
    "mobile-vla-bundle": ("the rules that export and certify bundles", ("bundle",)),
    "mobile-vla-lerobot": ("the rules that import LeRobotDatasets", ("lerobot",)),
}
"""By name of a conda environment, what it is for, and which requirements it needs besides."""


def resolved(
    requirements: Iterable[Path], preferred: Iterable[str], pins: Iterable[str], where: Place
) -> list[str]:
    """Return the lines ``name==version`` that requirements come to.

    Args:
        requirements: files.
        preferred: lines of versions that are taken where they fit.
        pins: lines of versions that are taken or none.
        where: platform and Python.

    Raises:
        SystemExit: there is no such set of versions; uv has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, bound = Path(folder, "preferred.txt"), Path(folder, "pins.txt")
        output.write_text("\n".join(preferred))
        bound.write_text("\n".join(pins))
        command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--python-platform", where[0], "--python-version", where[1]]
        command += ["--only-binary", ":all:", *(f"--no-binary={name}" for name in SOURCES)]
        command += ["--constraint", bound, "--output-file", output, *requirements]
        environment = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS}
        if subprocess.run(command, stdout=subprocess.DEVNULL, env=environment).returncode:
            raise SystemExit(f"envs/resolve.py: no versions fit {where[0]} and Python {where[1]}")
        return output.read_text().splitlines()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="newest versions")
    kept = ENVS / "constraints.txt"
    known = [] if parser.parse_args().upgrade else kept.read_text().splitlines()
    everything = sorted(ENVS.glob("requirements*.txt"))
    pins: set[str] = set()
    for where in product(PLATFORMS, PYTHONS):
        # What one platform got binds the next, so that all have the same versions.
        pins |= set(resolved(everything, known, pins, where))
    kept.write_text(CONSTRAINTS + "".join(f"{pin}\n" for pin in sorted(pins)))
    for name, (purpose, extras) in CONDA.items():
        files = [ENVS / "requirements.txt", *(ENVS / f"requirements-{one}.txt" for one in extras)]
        needed = resolved(files, pins, pins, (PLATFORMS[0], CONDA_PYTHON))
        lines = [f"      - {pin}\n" for pin in needed if not pin.startswith(CUDA)]
        text = CONDA_FILE.format(name=name, purpose=purpose, python=CONDA_PYTHON)
        (ENVS / f"{name}.yaml").write_text(text + "".join(lines))


if __name__ == "__main__":
    main()
