"""The report as an RO-Crate: complete, and the same bytes whoever packs it, where and when."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from mobile_vla.config.reporting import CrateSettings
from mobile_vla.files import sha256_of
from support.crates import make_packable, packed
from support.results import Results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make_packable(tmp_path_factory.mktemp("made"))


def entities(file: Path) -> dict[str, dict]:
    with zipfile.ZipFile(file) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_it_holds_report_tables_results_settings_and_provenance(
    made: Results, tmp_path: Path
) -> None:
    file = packed(made, made.folder)
    listed = CrateSettings(page=made.settings).files(made.results)
    expected = {f"results/{path.relative_to(made.results)}" for path in listed}
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path)
    others = {"ro-crate-metadata.json", "workflow/Snakefile", "LICENSE", "config.yaml"}
    assert names == expected | others
    assert {"results/report.html", "results/tables/pairs.csv"} <= expected
    assert {"results/comparison.json", "results/comparison.provenance.json"} <= expected
    described = entities(file)
    for name in names - {"ro-crate-metadata.json", "workflow/Snakefile"}:
        assert described[name]["sha256"] == sha256_of(tmp_path / name)
        assert described[name]["contentSize"] == str((tmp_path / name).stat().st_size)
    run = described["#run"]
    assert run["instrument"] == {"@id": "workflow/Snakefile"}
    assert run["object"] == [{"@id": "config.yaml"}]
    assert {"@id": "results/report.html"} in run["result"]
    title = f"<title>{described['./']['name']}</title>"
    assert title in (tmp_path / "results/report.html").read_text()
    assert ROCrate(tmp_path).mainEntity.id == "workflow/Snakefile"  # the library reads it


def test_raw_episodes_are_packed_on_wish(made: Results, tmp_path: Path) -> None:
    raw = tmp_path / "one.h5"
    raw.write_bytes(b"frames")
    file = packed(made, made.folder, {"raw/demo/one.h5": str(raw)})
    with zipfile.ZipFile(file) as archive:
        assert archive.read("raw/demo/one.h5") == b"frames"
    assert {"@id": "raw/demo/one.h5"} in entities(file)["#run"]["object"]


def test_place_user_time_zone_and_time_change_no_byte(
    made: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(made, made.folder).read_bytes()
    other = tmp_path / "somewhere/else"
    shutil.copytree(made.folder, other)
    for path in other.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700)
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    time.tzset()
    try:
        assert packed(made, other).read_bytes() == content
    finally:
        monkeypatch.undo()
        time.tzset()
