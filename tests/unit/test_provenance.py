"""What a result is tracked by: code, bytes of external files, circumstances."""

import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mobile_vla.commands import STAGES
from mobile_vla.config.heads import HEADS
from mobile_vla.files import sha256_of
from mobile_vla.provenance import code
from mobile_vla.provenance.content import content_ids
from mobile_vla.provenance.record import Commit, JobRecorder, git_state

LIBRARY = Path(__file__).parents[2] / "workflow/mobile_vla"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of the library, and a function that edits one of its modules."""
    for cached in (code._file, code._analysed, code._kept):
        cached.cache_clear()
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "_new", {})
    root = tmp_path / "mobile_vla"

    def write(name, text):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        for cached in (code._file, code._analysed):
            cached.cache_clear()

    write("__init__.py", "")
    write("stage/__init__.py", "START = 1\n")
    write("stage/entry.py", "from mobile_vla.stage import helper\nfrom ..base import f\n")
    write("stage/helper.py", "def g():\n    import mobile_vla.late\n")
    write("base.py", '"""Doc."""\n\ndef f():\n    """Doc."""\n    return 1  # why\n')
    write("late.py", "import os, json\nX = 1\n")
    write("unrelated.py", "Y = 1\n")
    yield write
    for cached in (code._file, code._analysed, code._kept):
        cached.cache_clear()


def modules(lines):
    return [line.split()[0] for line in lines]


def test_the_closure_follows_every_kind_of_import(package):
    assert modules(code.code_of("mobile_vla.stage.entry")) == [
        "mobile_vla",
        "mobile_vla.base",
        "mobile_vla.late",
        "mobile_vla.stage",
        "mobile_vla.stage.entry",
        "mobile_vla.stage.helper",
    ]


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("base.py", "def f():\n    return 2\n", ["mobile_vla.base"]),
        ("stage/__init__.py", "START = 2\n", ["mobile_vla.stage"]),
        ("late.py", "import os, json\nX = 2\n", ["mobile_vla.late"]),
        ("base.py", '"""Other."""\n# why not\ndef f():\n  """Else."""\n  return 1\n', []),
        ("unrelated.py", "Y = 2\n", []),
    ],
)
def test_an_edit_shows_in_its_own_line_and_prose_in_none(package, file, text, changed):
    before = code.code_of("mobile_vla.stage.entry")
    package(file, text)
    after = code.code_of("mobile_vla.stage.entry")
    assert modules(set(after) - set(before)) == changed


def again():
    """Forget what this process knows, but for what it has written."""
    code._keep()
    code._new.clear()
    for cached in (code._file, code._analysed, code._kept):
        cached.cache_clear()


def test_what_was_analysed_once_is_not_analysed_again_until_it_changes(package, monkeypatch):
    before = code.code_of("mobile_vla.stage.entry")
    again()
    monkeypatch.setattr(code, "_read", None)
    assert code.code_of("mobile_vla.stage.entry") == before


@pytest.mark.parametrize(
    "content", ["", "[]", '{"mobile_vla.base": 3}', '{"mobile_vla.base": [1]}']
)
def test_what_was_kept_is_no_authority(package, content):
    before = code.code_of("mobile_vla.stage.entry")
    again()
    code._place().write_text(content)
    assert code.code_of("mobile_vla.stage.entry") == before
    again()
    package("base.py", "def f():\n    return 2\n")
    code._kept.cache_clear()
    changed = set(code.code_of("mobile_vla.stage.entry")) - set(before)
    assert modules(changed) == ["mobile_vla.base"]


def test_the_closure_holds_what_python_really_imports():
    """Each command's module is imported, and every module of ours it brought must be tracked.

    The settings of heads are found by their names, and each job is tracked by those of its own.
    """
    script = (
        "import importlib, sys, json\n"
        "for entry in sys.argv[1:]:\n"
        "    importlib.import_module(entry)\n"
        "    ours = [name for name in sys.modules if name.split('.')[0] == 'mobile_vla']\n"
        "    for name in ours: del sys.modules[name]\n"
        "    print(json.dumps([entry, ours]))\n"
    )
    commands = ("ingest", "split", "audit", "page", "train")
    heads = {f"mobile_vla.config.heads.{kind}" for kind in HEADS}
    entries = [STAGES[command].module for command in commands]
    entries += [f"mobile_vla.model.heads.{kind}" for kind in HEADS]
    done = subprocess.run(
        [sys.executable, "-c", script, *entries],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(LIBRARY.parent)},
    )
    imported = dict(map(json.loads, done.stdout.splitlines()))
    assert len(imported) == len(entries)
    for entry, ours in imported.items():
        assert entry in ours and set(ours) - heads <= set(modules(code.code_of(entry)))


@pytest.mark.parametrize("part", [None, "run"])
def test_a_run_is_tracked_by_its_own_head(part):
    others = {f"mobile_vla.{where}.heads.{kind}" for where in ("config", "model") for kind in HEADS}
    for kind in HEADS:
        settings = {"policy": {"head": {"type": kind}, "lora": None}}
        chosen = code.chosen_modules({part: settings} if part else settings)
        tracked = set(modules(code.code_of(STAGES["train"].module, *chosen)))
        used = {kind, "lstm"} if kind in ("tokens", "flow") else {kind}  # two run an LSTM before
        own = {f"mobile_vla.{where}.heads.{one}" for where in ("config", "model") for one in used}
        assert tracked & others == own


def test_a_run_is_tracked_by_the_drivers_only_if_they_choose_its_checkpoint():
    entry = STAGES["train"].module
    drivers = {"mobile_vla.driving.drivers", "mobile_vla.simulator.driver"}
    chosen = code.chosen_modules({"drives": {"scenes": 2}, "training": {"epochs": 1}})
    assert drivers <= set(modules(code.code_of(entry, *chosen)))
    assert code.chosen_modules({"drives": None, "training": {"epochs": 1}}) == []
    assert not drivers & set(modules(code.code_of(entry)))


@pytest.mark.parametrize("command", ["train", "features", "evaluate", "ingest"])
def test_no_blast_radius(command):
    tracked = set(modules(code.code_of(STAGES[command].module)))
    assert not {name for name in tracked if name.startswith("mobile_vla.reporting")}
    assert not {name for name in tracked if name.startswith("mobile_vla.audit")}
    assert "mobile_vla.config.project" not in tracked
    assert "mobile_vla.config.entries" not in tracked
    if command == "ingest":
        assert not {"mobile_vla.config.split", "mobile_vla.config.windows"} & tracked
    assert "mobile_vla.config.reporting" not in tracked
    if command == "evaluate":
        assert "mobile_vla.config.training" not in tracked
        assert "mobile_vla.training.loop" not in tracked
    else:
        assert not {name for name in tracked if name.startswith("mobile_vla.evaluation")}


def test_bytes_count_and_not_times(tmp_path):
    file, cache = tmp_path / "a.h5", tmp_path / "cache.json"
    file.write_bytes(b"one")
    (first,) = content_ids([file], cache).values()
    os.utime(file, (1, 1))
    assert content_ids([file], cache)[file] == first
    copy = tmp_path / "b.h5"
    copy.write_bytes(b"one")
    assert content_ids([copy], cache)[copy] == first
    file.write_bytes(b"two!")
    os.utime(file, (0, 0))  # older than before
    assert content_ids([file], cache)[file] != first


def test_the_order_is_that_of_the_question(tmp_path):
    cache = tmp_path / "cache.json"
    files = [tmp_path / name for name in "dbca"]
    for file in files:
        file.write_bytes(file.name.encode() * 100_000)
    cold = content_ids(files, cache)
    files[1].touch()  # hashed anew, while the others are known
    for asked in (files, sorted(files)):
        found = content_ids(asked, cache)
        assert list(found) == asked
        assert found == cold


def test_an_interrupted_plan_keeps_what_it_has_hashed(tmp_path, monkeypatch):
    files = [tmp_path / f"{index}.h5" for index in range(20)]
    for file in files:
        file.write_bytes(file.name.encode())
    done = []

    def slow(path):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(path)
        return sha256_of(path)

    monkeypatch.setattr("mobile_vla.provenance.content.sha256_of", slow)
    with pytest.raises(KeyboardInterrupt):
        content_ids(files, tmp_path / "cache.json")
    kept = json.loads((tmp_path / "cache.json").read_text())
    assert 0 < len(kept) <= 20
    assert set(kept) <= {str(file) for file in files}


def test_a_long_hashing_says_how_far_it_is(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("mobile_vla.provenance.content.QUIET", -1.0)
    file = tmp_path / "a.h5"
    file.write_bytes(b"x" * 1000)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr("mobile_vla.provenance.content.time.monotonic", lambda: next(clock))
    content_ids([file], tmp_path / "cache.json")
    assert "hashing 1 of 1 files" in caplog.text


def test_plans_at_the_same_time_leave_a_whole_cache(tmp_path):
    cache = tmp_path / "cache.json"
    folders = [tmp_path / str(index) for index in range(6)]
    for folder in folders:
        folder.mkdir()
        for index in range(10):
            (folder / f"{index}.h5").write_bytes(f"{folder.name} {index}".encode())

    def plan(folder):
        return content_ids(sorted(folder.iterdir()), cache)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(plan, folders * 3))
    assert found[:6] == found[6:12] == found[12:]
    kept = json.loads(cache.read_text())
    assert kept and all(len(digest) == 64 for _, digest in kept.values())


def test_a_known_file_is_not_read_again(tmp_path, monkeypatch):
    file, cache = tmp_path / "a.h5", tmp_path / "cache.json"
    file.write_bytes(b"one")
    first = content_ids([file], cache)
    monkeypatch.setattr("mobile_vla.provenance.content.sha256_of", None)
    assert content_ids([file], cache) == first


@pytest.mark.parametrize("torn", ["", "{", "[1, 2]", '{"x": '])
def test_a_torn_cache_counts_as_empty(tmp_path, torn):
    file, cache = tmp_path / "a.h5", tmp_path / "cache.json"
    file.write_bytes(b"one")
    cache.write_text(torn)
    assert len(content_ids([file], cache)[file]) == 64
    assert json.loads(cache.read_text())


def test_what_cannot_be_read_has_an_identity_too(tmp_path):
    missing, folder = tmp_path / "missing.h5", tmp_path / "folder.h5"
    folder.mkdir()
    loop = tmp_path / "loop.h5"
    loop.symlink_to(loop)
    ids = content_ids([missing, folder, loop], tmp_path / "cache.json")
    assert ids == {missing: "missing", folder: "no file", loop: "unreadable"}


def test_a_record_tells_the_circumstances(tmp_path):
    recorder = JobRecorder("split", "mobile_vla.data.split", ("numpy",))
    manifest, missing = tmp_path / "manifest.json", tmp_path / "split.json"
    manifest.write_text("{}")
    recorder.note({"seed": 1}, [manifest, manifest, missing])
    recorder.write(tmp_path / "p.json")
    record = json.loads((tmp_path / "p.json").read_text())
    assert record["settings"] == {"seed": 1}
    assert record["inputs"] == {str(manifest): sha256_of(manifest)}
    assert any(line.startswith("mobile_vla.data.split ") for line in record["code"])
    assert record["started"] <= record["finished"] and record["seconds"] >= 0
    assert set(record["versions"]) == {"numpy"}


@pytest.fixture
def checkout(tmp_path):
    """A checkout with code, a preset and a configuration."""

    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y", *arguments],
            check=True,
            capture_output=True,
        )

    assert git_state(tmp_path) is None
    git("init")
    for name in ("README.md", "config.yaml", "workflow/a.py", "presets/p.yaml"):
        put(tmp_path, name, "1")
    git("add", ".")
    git("commit", "-m", "one")
    return tmp_path


def put(folder, name, text):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    "name",
    [
        "config.yaml",
        "kosmos-2/model.safetensors",
        "notes.md",
        "run.log",
        "data/workflow/a.py",
        "presets.txt",
        "workflow/.DS_Store",
        "workflow/notes.txt",
        "메모 1.txt",
    ],
)
def test_a_tree_is_clean_whatever_lies_about(checkout, name):
    clean = git_state(checkout)
    assert clean is not None and len(clean.commit) == 40 and not clean.dirty
    put(checkout, name, "2")
    assert git_state(checkout) == git_state(checkout / "workflow") == clean


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "workflow/a.py",
        "presets/p.yaml",
        "workflow/new.py",
        "workflow/new/b.py",
        "presets/q.yaml",
        "presets/새 것.yaml",
    ],
)
def test_a_changed_file_or_new_code_makes_a_tree_dirty(checkout, name):
    clean = git_state(checkout)
    put(checkout, name, "2")
    assert git_state(checkout / "workflow") == Commit(commit=clean.commit, dirty=True)
