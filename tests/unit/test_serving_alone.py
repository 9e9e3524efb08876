"""What serves a policy besides the policy runs where neither PyTorch nor this project is."""

import ast
import sys

import pytest

from support.project import ROOT

LIBRARY = ROOT / "workflow/mobile_vla"
SERVER = sorted((LIBRARY / "serving").glob("*.py"))
BUNDLE = [LIBRARY / f"bundle/{name}.py" for name in ("__init__", "measuring", "run", "runtime")]
ALLOWED = {*sys.stdlib_module_names, "numpy", "PIL"}
CARRIED = ("mobile_vla.serving.", "mobile_vla.bundle.measuring", "mobile_vla.bundle.runtime")


@pytest.mark.parametrize("file", SERVER, ids=lambda file: file.stem)
def test_the_server_parses_on_python_3_8_and_imports_numpy_and_pillow_alone(file):
    check_imports(file, ALLOWED, CARRIED[:1])


@pytest.mark.parametrize("file", BUNDLE, ids=lambda file: file.stem)
def test_what_a_bundle_carries_needs_onnxruntime_besides(file):
    check_imports(file, {*ALLOWED, "onnxruntime"}, CARRIED)


def check_imports(file, packages, modules):
    """Check that a module parses on Python 3.8, and imports some packages and modules alone."""
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
            assert name.startswith(modules) or name.split(".")[0] in packages, name
