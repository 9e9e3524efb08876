"""What serves a policy besides the policy runs where neither PyTorch nor this project is."""

import ast
import sys

import pytest

from support.project import ROOT

MODULES = sorted((ROOT / "workflow/mobile_vla/serving").glob("*.py"))
ALLOWED = {*sys.stdlib_module_names, "numpy", "PIL"}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.stem)
def test_it_parses_on_python_3_8_and_imports_numpy_and_pillow_alone(file):
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module]
        else:
            continue
        for name in names:
            assert name.startswith("mobile_vla.serving.") or name.split(".")[0] in ALLOWED, name
