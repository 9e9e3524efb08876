from __future__ import annotations

import numpy as np
import pytest

from mobile_vla.audit.flags import flags
from mobile_vla.config.audit import FlagSettings
from mobile_vla.config.data import ManifestSettings
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.manifest import manifest
from mobile_vla.data.result import Flags, Manifest, Quarantined
from mobile_vla.errors import Problems, UserError
from mobile_vla.files import read_json, write_json
from mobile_vla.ingest.result import Defect
from mobile_vla.layout import FlagFiles, ManifestFiles
from mobile_vla.result import FileDigest
from mobile_vla.sentence import verbatim
from support.synthetic_datasets import facts_of, make_dataset, write_facts

DEFECT = Defect(
    code="truncated",
    place="file",
    found=verbatim("cut off"),
    expected=verbatim("whole"),
    remedy=verbatim("copy it again"),
)


def run(folder, every, on_error="fail", flags=None):
    files = folder / "manifest.json", folder / "actions.npy"
    manifest(
        ManifestSettings(dataset="made", on_error=on_error),
        ManifestFiles(*files),
        facts=write_facts(folder, every),
        flags=flags,
    )
    return files


def flagged(folder, every, **changes):
    """Return the flags of episodes, as the stage of that name writes them."""
    flags(
        FlagSettings(dataset="made", **changes),
        FlagFiles(folder / "flags.json"),
        facts=write_facts(folder / "flagged", every),
    )
    return folder / "flags.json"


def broken(name, count=1):
    errors = [DEFECT.model_copy(update={"place": f"{i}"}) for i in range(count)]
    return facts_of(name, frames=0, actions=[], errors=errors)


def test_rows_follow_the_names(tmp_path):
    dataset = make_dataset(tmp_path, {"b": 3, "a": 2, "c": 4})
    assert [episode.name for episode in dataset.episodes] == ["a", "b", "c"]
    assert dataset.lengths.tolist() == [2, 3, 4]
    assert dataset.offsets.tolist() == [0, 2, 5]
    assert dataset.rows == 9
    assert dataset.index("c") == 2
    expected = np.array(facts_of("b", 3).actions, dtype=np.float32)
    np.testing.assert_array_equal(dataset.actions[2:5], expected)
    assert dataset.actions.dtype == np.float32


def test_an_unknown_name_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="no episode 'z'"):
        make_dataset(tmp_path, {"a": 2}).index("z")


def test_bytes_do_not_depend_on_the_order_of_facts(tmp_path):
    every = [facts_of(name) for name in ("a", "b", "c")]
    one, other = run(tmp_path / "1", every), run(tmp_path / "2", every[::-1])
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_the_digest_follows_names_and_contents(tmp_path):
    every = [facts_of("a"), facts_of("b")]
    digest = Manifest.read(run(tmp_path / "0", every)[0]).digest
    changed = [
        [facts_of("a"), facts_of("b", sha256="0" * 64)],
        [facts_of("a"), facts_of("c")],
        [facts_of("a")],
        [facts_of("a"), facts_of("b", frame_file=FileDigest(sha256="1" * 64, size=1))],
    ]
    digests = {
        Manifest.read(run(tmp_path / f"{number}", other)[0]).digest
        for number, other in enumerate(changed, start=1)
    }
    assert len(digests) == 4
    assert digest not in digests


def test_all_problems_of_all_episodes_are_raised_together(tmp_path):
    with pytest.raises(Problems) as error:
        run(tmp_path, [facts_of("a"), broken("b", 2), broken("c")])
    assert len(error.value.problems) == 3
    assert "2 of 3 episodes cannot be used" in str(error.value)
    assert "raw/b.h5, 1: cut off [truncated]" in str(error.value)
    assert not (tmp_path / "manifest.json").exists()


def test_quarantine_leaves_out_and_says_so(tmp_path, caplog):
    path, actions = run(tmp_path, [facts_of("a", 5), broken("b")], "quarantine")
    content = Manifest.read(path)
    assert [episode.name for episode in content.episodes] == ["a"]
    assert content.rows == 5
    errors = (DEFECT.model_copy(update={"place": "0"}),)
    assert content.quarantined == (
        Quarantined(episode="b", file="raw/b.h5", errors=errors, warnings=()),
    )
    assert "1 of 2 episodes are quarantined" in caplog.text
    assert "b: truncated (0): cut off" in caplog.text
    assert len(Dataset.load(path, actions)) == 1


def test_nothing_left_is_an_error_even_with_quarantine(tmp_path):
    with pytest.raises(Problems, match="none of 2 episodes"):
        run(tmp_path, [broken("a"), broken("b")], "quarantine")
    with pytest.raises(UserError, match="no episodes"):
        run(tmp_path, [], "quarantine")


def test_two_episodes_of_one_name_are_an_error(tmp_path):
    every = [facts_of("a", file="x/a.h5"), facts_of("b"), facts_of("a", file="y/a.h5")]
    with pytest.raises(Problems, match=r"two episodes named a: x/a.h5 and y/a.h5"):
        run(tmp_path, every, "quarantine")


def test_other_actions_than_those_written_are_refused(tmp_path):
    path, actions = run(tmp_path, [facts_of("a")])
    values = np.load(actions)
    values[3, 0] += 1
    np.save(actions, values)
    with pytest.raises(UserError, match="not those that were written"):
        Dataset.load(path, actions)


def test_a_file_that_is_no_manifest_is_a_users_error(tmp_path):
    path, actions = run(tmp_path, [facts_of("a")])
    write_json(path, {"dataset": "made"})
    with pytest.raises(UserError, match=r"manifest.json \(rows\): Field required"):
        Dataset.load(path, actions)


ODD = {"num_frames": 99, "episode_name": "c"}
"""Attributes that give two warnings to every episode but ``c``, and one to that."""


def test_episodes_with_warnings_are_left_out_with_their_codes(tmp_path, caplog):
    every = [facts_of("a_left", 5), facts_of("b_left", 6, attributes=ODD), broken("c")]
    path, actions = run(tmp_path, every, "quarantine", flagged(tmp_path, every))
    content = Manifest.read(path)
    assert [episode.name for episode in content.episodes] == ["a_left"]
    assert content.rows == 5 == len(np.load(actions))
    assert [(left_out.episode, left_out.warnings) for left_out in content.quarantined] == [
        ("b_left", ("episode_name_differs", "num_frames_differs")),
        ("c", ()),
    ]
    assert [bool(left_out.errors) for left_out in content.quarantined] == [False, True]
    assert "b_left: episode_name_differs, num_frames_differs" in caplog.text
    alone = run(tmp_path / "alone", every[:1])
    assert content.digest == Manifest.read(alone[0]).digest


def test_accepted_warnings_and_infos_leave_nothing_out(tmp_path):
    every = [facts_of("a_left", attributes=ODD), facts_of("b", event_types=None)]
    assert read_json(flagged(tmp_path, every))["episodes"] == {
        "a_left": ["episode_name_differs", "num_frames_differs"],
        "b": ["scenario_incomplete"],
    }
    accepted = ("episode_name_differs", "num_frames_differs", "scenario_incomplete")
    assert read_json(flagged(tmp_path, every, accepted=accepted))["episodes"] == {}
    assert read_json(flagged(tmp_path, every, accepted=accepted[1:]))["episodes"] == {
        "a_left": ["episode_name_differs"]
    }


def test_warnings_about_all_episodes_are_an_error_that_says_so(tmp_path):
    every = [facts_of("a", 5)]
    with pytest.raises(Problems, match=r"a.h5: left out for scenario_incomplete") as caught:
        run(tmp_path, every, flags=flagged(tmp_path, every))
    assert "on_warning: keep" in str(caught.value)


def test_flags_of_another_dataset_are_refused(tmp_path):
    Flags(dataset="other", episodes={}).write(tmp_path / "other.json")
    with pytest.raises(UserError, match="found the flags of dataset other, expected those of made"):
        run(tmp_path, [facts_of("a", 5)], flags=tmp_path / "other.json")
