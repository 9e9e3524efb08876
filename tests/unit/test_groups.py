"""Several episodes in a file: which they are, their names, and what each is identified by."""

from __future__ import annotations

import os
import shutil
import signal

import h5py
import numpy as np
import pytest

from mobile_vla.config.entries import RecordedDataset
from mobile_vla.config.fields import Fields
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import UserError
from mobile_vla.ingest import groups
from mobile_vla.ingest import ingest as ingest_module
from mobile_vla.ingest import recorded as recorded_module
from mobile_vla.ingest.groups import content_of, groups_of, matching
from mobile_vla.ingest.ingest import ingest
from mobile_vla.ingest.machine import machine_error
from mobile_vla.ingest.recorded import recorded_episodes, recorded_files
from mobile_vla.ingest.result import EpisodeFacts
from mobile_vla.layout import EpisodeFiles
from support.hdf5_layouts import ROBOMIMIC, add_demo, write_recon, write_robomimic
from support.ingested import in_this_process


@pytest.fixture(autouse=True)
def without_a_child(monkeypatch):
    in_this_process(monkeypatch)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "image.hdf5"
    write_robomimic(path, demos=3)
    return path


@pytest.fixture
def path(written, tmp_path):
    (tmp_path / "raw").mkdir()
    return shutil.copy(written, tmp_path / "raw/image.hdf5")


def dataset(folder, **more):
    fields = more.pop("fields", ROBOMIMIC)
    settings = {"kind": "recorded", "path": str(folder), "pattern": "*.hdf5", "fields": fields}
    return RecordedDataset.model_validate({**settings, **more})


def listed(path, **more):
    """Return the episodes of the file's folder."""
    settings, source = dataset(path.parent, **more), Source()
    files = recorded_files("d", settings, source)
    cache = path.parents[1] / "cache.json"
    return recorded_episodes("d", settings, files, source, cache)


def contents(path, **more):
    return {name: one.content for name, one in listed(path, **more).items()}


def facts_of(one, tmp_path):
    files = EpisodeFiles(tmp_path / "facts.json", tmp_path / "frames.npy")
    ingest(one.settings, files, raw=one.file)
    return EpisodeFacts.read(files.facts)


def test_each_group_is_an_episode_named_by_file_and_group(path, tmp_path):
    found = listed(path)
    assert list(found) == ["image--demo_0", "image--demo_1", "image--demo_2"]
    one = found["image--demo_1"]
    assert (one.file, one.settings.inside) == (path, "data/demo_1")
    facts = facts_of(one, tmp_path)
    assert facts.errors == [] and facts.sha256 == one.content and facts.size > 0


def test_an_appended_episode_leaves_the_others_as_they_were(path):
    before = contents(path)
    add_demo(path, 3)
    after = contents(path)
    assert before.items() < after.items() and len(after) == 4
    assert len(set(after.values())) == 4


def test_an_episode_is_the_same_in_another_file_and_under_another_name(path, tmp_path):
    before = contents(path)
    with h5py.File(tmp_path / "raw/other.hdf5", "w") as other, h5py.File(path) as file:
        other["padding"] = np.zeros(1000)
        file.copy("data/demo_2", other.require_group("data"), name="demo_7")
    path.unlink()
    assert contents(path) == {"other--demo_7": before["image--demo_2"]}


CHANGES = {
    "a pixel": lambda demo: demo["obs/agentview_image"].__setitem__((0, 0, 0, 0), 255),
    "an action": lambda demo: demo["actions"].__setitem__((3, 0), 9.0),
    "an attribute": lambda demo: demo.attrs.__setitem__("num_samples", 1),
    "the instruction": lambda demo: demo.attrs.__setitem__("ep_meta", '{"lang": "stop"}'),
    "an array removed": lambda demo: demo.__delitem__("actions"),
    "events": lambda demo: demo.__setitem__("action_event_types", ["start", "stop"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_read_of_an_episode_changes_its_identity_alone(path, change):
    before = contents(path)
    with h5py.File(path, "r+") as file:
        CHANGES[change](file["data/demo_1"])
    after = contents(path)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["image--demo_1"]


def test_what_is_not_read_changes_nothing(path):
    before = contents(path)
    with h5py.File(path, "r+") as file:
        del file["data/demo_1/next_obs"]
        file["data/demo_1/rewards"][...] = 1
        file["data"].attrs["total"] = 0
    assert contents(path) == before


def test_texts_of_any_length_are_identified_by_their_letters_and_not_their_addresses(path):
    text = {**ROBOMIMIC, "instruction": "words"}
    with h5py.File(path, "r+") as file:
        for demo, words in (("demo_0", ["go", "go"]), ("demo_1", ["go", "go"]), ("demo_2", ["to"])):
            file[f"data/{demo}/words"] = words
            for name in ("obs", "actions"):
                if demo != "demo_0":
                    del file[f"data/{demo}/{name}"]
                    file[f"data/{demo}/{name}"] = file[f"data/demo_0/{name}"]
            file[f"data/{demo}"].attrs["ep_meta"] = "{}"
    ids = contents(path, fields=text)
    assert ids["image--demo_0"] == ids["image--demo_1"] != ids["image--demo_2"]


def test_a_file_is_looked_into_again_when_it_changes_and_not_before(path, monkeypatch):
    before = contents(path)
    monkeypatch.setattr(recorded_module, "_looked_up", lambda *given: pytest.fail("looked again"))
    assert contents(path) == before
    monkeypatch.undo()
    os.utime(path, ns=(1, 1))
    assert contents(path) == before
    other = {**ROBOMIMIC, "images": "next_obs/agentview_image"}
    assert not set(contents(path, fields=other).values()) & set(before.values())


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "truncated"),
        (lambda path: path.write_bytes(b"no HDF5" * 100), "not_hdf5"),
        (lambda path: path.write_bytes(b""), "empty_file"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "broken_link"),
        (lambda path: (path.unlink(), write_recon(path)), "missing_dataset"),
    ],
)
def test_a_file_whose_groups_cannot_be_listed_is_one_episode_with_the_reason(
    path, tmp_path, spoil, code
):
    spoil(path)
    ((name, one),) = listed(path).items()
    assert name == "image" and one.settings.inside == ""
    (error,) = facts_of(one, tmp_path).errors
    assert error.code == code
    if code == "missing_dataset":
        assert str(error.found) == "no group that matches 'data/demo_*'"


def test_an_episode_at_which_hdf5_crashes_hides_no_other(path, tmp_path, monkeypatch):
    before = contents(path)
    os.utime(path, ns=(1, 1))
    monkeypatch.undo()
    whole = groups._content

    def crash(file, places, announce):
        if places.group == "data/demo_1":
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # else pytest prints where it was
            os.kill(os.getpid(), signal.SIGSEGV)
        return whole(file, places, announce)

    monkeypatch.setattr(groups, "_content", crash)
    found = listed(path)
    after = {name: one.content for name, one in found.items()}
    assert after.pop("image--demo_1").startswith("unreadable ")
    assert after.items() < before.items() and len(after) == 2
    (error,) = facts_of(found["image--demo_1"], tmp_path).errors
    assert error.code == "unreadable" and "SIGSEGV" in str(error.found)
    monkeypatch.setattr(recorded_module, "_looked_up", lambda *given: pytest.fail("looked again"))
    assert len(listed(path)) == 3


def test_groups_at_which_hdf5_fails_make_the_file_one_episode(path, tmp_path, monkeypatch):
    def fail(file, pattern):
        raise RuntimeError("Link iteration failed")

    for module in (groups, ingest_module):
        monkeypatch.setattr(module, "matching", fail)
    ((name, one),) = listed(path).items()
    (error,) = facts_of(one, tmp_path).errors
    assert name == "image" and error.code == "unreadable"
    assert str(error.found) == "HDF5 cannot read it: Link iteration failed"


def test_what_the_machine_cannot_read_stops_the_plan_and_is_no_fact_about_the_file(
    path, monkeypatch
):
    def fail(*given):
        raise machine_error("file", "no answer", "look at the drive")

    before = contents(path)
    os.utime(path, ns=(1, 1))
    monkeypatch.setattr("mobile_vla.ingest.groups.groups_of", fail)
    with pytest.raises(UserError, match=rf"{path}, file: no answer, which is no fact"):
        listed(path)
    monkeypatch.undo()
    assert contents(path) == before


def test_a_damaged_episode_spoils_no_other(path, tmp_path):
    before = contents(path)
    with h5py.File(path) as file:
        place = file["data/demo_1/obs/agentview_image"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(20))
    found = listed(path)
    assert [name for name in before if found[name].content != before[name]] == ["image--demo_1"]
    (error,) = facts_of(found["image--demo_1"], tmp_path).errors
    assert error.code in ("damaged_chunk", "damaged_index")
    assert error.place.startswith("obs/agentview_image")
    assert facts_of(found["image--demo_1"], tmp_path).place.endswith("image.hdf5/data/demo_1")
    assert facts_of(found["image--demo_2"], tmp_path).errors == []


def test_only_groups_count_and_links_out_of_the_file_are_not_opened(path, tmp_path):
    with h5py.File(path, "r+") as file:
        file["data/demo_list"] = [1, 2]
        file["data/demo_soft"] = h5py.SoftLink("/data/demo_0")
        file["data/demo_gone"] = h5py.SoftLink("/data/nowhere")
        file["data/demo_out"] = h5py.ExternalLink("/etc/passwd", "/data/demo_0")
    found = listed(path)
    codes = {
        name.removeprefix("image--demo_"): [one.code for one in facts_of(episode, tmp_path).errors]
        for name, episode in found.items()
    }
    assert codes == {
        **{"0": [], "1": [], "2": [], "soft": []},
        **{"gone": ["missing_dataset"], "out": ["external_link"]},
    }
    assert found["image--demo_soft"].content == found["image--demo_0"].content


def test_names_that_no_file_can_have_are_refused(path):
    with h5py.File(path, "r+") as file:
        file["data/demo_" + "x" * 200] = file["data/demo_0"]
    with pytest.raises(UserError, match=r"fields\.episodes\): .*rename it, or narrow"):
        listed(path)


def test_braces_in_a_group_are_written_as_in_a_url(path):
    with h5py.File(path, "r+") as file:
        file.move("data/demo_0", "data/demo_{0}")
    assert "image--demo_%7B0%7D" in listed(path)


def test_two_episodes_of_one_name_are_refused(path):
    shutil.copy(path, path.parent / "image--demo_1.hdf5")
    with h5py.File(path.parent / "image--demo_1.hdf5", "r+") as file:
        file.move("data/demo_0", "data/x")
    fields = {**ROBOMIMIC, "episodes": "data/*"}
    with h5py.File(path, "r+") as file:
        file["data/demo_1--x"] = file["data/demo_1"]
    with pytest.raises(UserError, match="give the same episode 'image--demo_1--x'"):
        listed(path, fields=fields)


def test_patterns_stand_for_one_level_a_part(path, tmp_path):
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        for day in ("mon", "tue"):
            for run in ("run_1", "run_2"):
                file.create_group(f"{day}/{run}/obs")
        file["notes"] = "none"
        assert matching(file, "*/run_*") == ["mon/run_1", "mon/run_2", "tue/run_1", "tue/run_2"]
        assert matching(file, "/tue/run_?") == ["tue/run_1", "tue/run_2"]
        assert matching(file, "mon/run_1") == ["mon/run_1"]
        assert matching(file, "sun/*") == matching(file, "run_*") == matching(file, "notes") == []
    only = {**ROBOMIMIC, "episodes": "data/demo_1"}
    assert list(listed(path, fields=only)) == ["image--demo_1"]


def test_thousands_of_groups_are_listed(tmp_path):
    with h5py.File(tmp_path / "many.hdf5", "w") as file:
        for number in range(2000):
            file.create_group(f"data/demo_{number}")
        assert len(matching(file, "data/demo_*")) == 2000


def test_the_identity_of_a_group_is_that_of_its_bytes(path):
    fields = Fields.model_validate(ROBOMIMIC)
    one = content_of(path, fields, "data/demo_0")
    assert one.sha256 == groups_of(path, fields)["data/demo_0"]
    with h5py.File(path) as file:
        demo = file["data/demo_0"]
        stored = demo["obs/agentview_image"].id.get_storage_size() + demo["actions"].nbytes
    assert stored < one.size < stored + 2000
