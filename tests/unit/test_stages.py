"""A stage has one name: its rules, package, settings and results are found by it."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mobile_vla.commands import COMMANDS, STAGES
from support.project import ROOT

LIBRARY = ROOT / "workflow/mobile_vla"


@pytest.mark.parametrize("command", STAGES.values(), ids=STAGES)
def test_rules_package_and_settings_of_a_command_have_the_name_of_its_stage(command):
    rules = (ROOT / f"workflow/rules/{command.stage}.smk").read_text(encoding="utf-8")
    assert re.findall(rf'^ +command\("{command.name}"\)$', rules, re.MULTILINE)
    assert (LIBRARY / f"config/{command.stage}.py").is_file()
    # the simulator writes raw files, and of its own no other
    assert (LIBRARY / command.stage / "result.py").is_file() or command.stage == "simulator"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_the_function_of_its_name_in_the_module_of_its_name(command):
    file = LIBRARY / command.stage / f"{command.name}.py"
    names = [node.name for node in ast.parse(file.read_text()).body if hasattr(node, "name")]
    assert command.name in names


def test_the_snakefile_includes_the_rules_of_every_stage():
    text = (ROOT / "workflow/Snakefile").read_text(encoding="utf-8")
    included = set(re.findall(r'include: "rules/(\w+)\.smk"', text))
    assert {command.stage for command in STAGES.values()} <= included
    assert included == {file.stem for file in (ROOT / "workflow/rules").glob("*.smk")}


def test_no_two_classes_have_one_name():
    files = sorted(LIBRARY.rglob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the threads are not listed here")
def test_numpy_computes_in_one_thread_whatever_the_environment_says():
    code = (
        "import contextlib, os, sys\n"
        "from mobile_vla.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['manifest', '--help'])\n"
        "assert 'numpy' in sys.modules\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1"
