"""A mixture's rows, roles and features are those of its datasets; an episode counts once."""

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.data.frames import open_frames
from mobile_vla.data.mix_manifests import mix_manifests
from mobile_vla.data.result import DatasetSplit, Manifest, UnusedEpisode
from mobile_vla.data.roles import load_split
from mobile_vla.errors import Problems, UserError
from mobile_vla.features.store import JoinedRows, open_rows
from mobile_vla.layout import ManifestFiles
from mobile_vla.sentence import verbatim
from support.mixtures import MEMBERS, episodes_of, make_mixture, settings
from support.synthetic_datasets import rewrite_manifest
from support.tiny import make_backbone


def test_rows_and_episodes_are_those_of_the_datasets_one_after_another(tmp_path):
    mixture = make_mixture(tmp_path, frames=True)
    whole, (lab, autumn) = mixture.dataset, mixture.datasets.values()
    assert whole.rows == lab.rows + autumn.rows
    np.testing.assert_array_equal(whole.actions, np.concatenate([lab.actions, autumn.actions]))
    listed = [f"{one.name}/{episode.name}" for one in (lab, autumn) for episode in one.episodes]
    assert [episode.name for episode in whole.episodes] == listed
    assert [whole.part_of(index).name for index in (0, 5, 6, 11)] == ["lab"] * 2 + ["autumn"] * 2
    rows = np.array([lab.rows - 1, lab.rows, 0, whole.rows - 1])
    frames = open_frames(whole)[rows]
    np.testing.assert_array_equal(frames[[0, 2]], open_frames(lab)[rows[[0, 2]]])
    np.testing.assert_array_equal(frames[[1, 3]], open_frames(autumn)[rows[[1, 3]] - lab.rows])


def test_another_dataset_makes_another_digest_and_weights_none(tmp_path):
    mixture = make_mixture(tmp_path)
    before = Manifest.read(mixture.manifest)
    assert [one.digest for one in before.members] == [
        one.digest for one in mixture.datasets.values()
    ]
    episodes = Manifest.read(tmp_path / "lab/manifest.json").episodes
    changed = episodes[0].model_copy(update={"raw_sha256": "0" * 64})
    rewrite_manifest(tmp_path / "lab/manifest.json", [changed, *episodes[1:]])
    mix_manifests(
        settings(),
        ManifestFiles(mixture.manifest, mixture.actions),
        member_manifests=[tmp_path / name / "manifest.json" for name in MEMBERS],
        member_actions=[tmp_path / name / "actions.npy" for name in MEMBERS],
    )
    assert Manifest.read(mixture.manifest).digest != before.digest


def test_datasets_in_another_order_are_refused(tmp_path):
    mixture = make_mixture(tmp_path)
    with pytest.raises(UserError, match="found the manifests of autumn, lab; expected"):
        mix_manifests(
            settings(),
            ManifestFiles(mixture.manifest, mixture.actions),
            member_manifests=[tmp_path / name / "manifest.json" for name in MEMBERS[::-1]],
            member_actions=[tmp_path / name / "actions.npy" for name in MEMBERS[::-1]],
        )


def test_features_are_read_together_and_not_computed_again(tmp_path):
    mixture = make_mixture(tmp_path, frames=True)
    backbone = make_backbone(tmp_path / "backbone")
    described = mixture.store(backbone)
    digest = Checkpoint.read(backbone).digest
    whole = open_rows(mixture.dataset, digest, "fp32", described, "plain")
    lab, autumn = (
        open_rows(dataset, digest, "fp32", [path], "plain")
        for dataset, path in zip(mixture.datasets.values(), described, strict=True)
    )
    count = mixture.datasets["lab"].rows
    rows = np.array([count + 3, 0, count - 1, count, 0])
    expected = torch.stack([autumn[np.array([3])][0], *lab[np.array([0, count - 1])]])
    assert torch.equal(whole[rows[:3]], expected)
    assert torch.equal(whole[rows][[1]], whole[rows][[4]])
    with pytest.raises(UserError, match="1 files of features for the datasets lab, autumn"):
        open_rows(mixture.dataset, digest, "fp32", described[:1], "plain")
    with pytest.raises(UserError, match="computed for a dataset with digest"):
        open_rows(mixture.dataset, digest, "fp32", described[::-1], "plain")


def test_joined_rows_are_found_in_their_store():
    class Counted:
        def __init__(self, first):
            self.first = first

        def __getitem__(self, rows):
            return torch.from_numpy(self.first + rows)

    joined = JoinedRows((Counted(0), 3), (Counted(10), 2), (Counted(20), 4))
    rows = np.array([8, 0, 3, 4, 2, 5, 3])
    assert joined[rows].tolist() == [23, 0, 10, 11, 2, 20, 10]


def test_each_episode_keeps_its_role(tmp_path):
    mixture = make_mixture(tmp_path)
    mixture.mix()
    roles = load_split(mixture.split, mixture.dataset, 0).of
    assert roles == {"train": (0, 1, 6, 7), "val": (2, 3, 8, 9), "test": (4, 5, 10, 11)}
    cells = DatasetSplit.read(mixture.split).folds[0].cells
    assert [(cell.train, cell.val, cell.test) for cell in cells] == [(4, 4, 4)]


def test_an_episode_in_two_datasets_counts_once(tmp_path):
    """The same file under the same name in both, with the same role."""
    shared, own = episodes_of("lab"), episodes_of("autumn")
    episodes = {"autumn": [shared[0], *own[:5]]}
    roles = {"autumn": {"train": [shared[0], own[0]], "val": own[1:3], "test": own[3:5]}}
    mixture = make_mixture(tmp_path, episodes=episodes, roles=roles)
    mixture.mix()
    fold = DatasetSplit.read(mixture.split).folds[0]
    (unused,) = fold.unused
    assert unused.episode == f"autumn/{shared[0]}"
    assert str(unused.reason) == f"the same episode as lab/{shared[0]}, and counted there"
    listed = [name for names in fold.roles.values() for name in names]
    assert f"lab/{shared[0]}" in fold.roles["train"] and len(listed) == 11
    assert len(load_split(mixture.split, mixture.dataset, 0).of["train"]) == 3


def test_an_episode_on_two_sides_is_refused_with_both_names(tmp_path):
    shared, own = episodes_of("lab"), episodes_of("autumn")
    episodes = {"autumn": [shared[0], shared[5], *own[:4]]}
    roles = {"autumn": {"train": own[:2], "val": [shared[0], own[2]], "test": [shared[5], own[3]]}}
    mixture = make_mixture(tmp_path, episodes=episodes, roles=roles)
    with pytest.raises(Problems) as caught:
        mixture.mix()
    (problem,) = caught.value.problems
    assert f"lab/{shared[0]} (train) and autumn/{shared[0]} (val)" in problem.found
    assert problem.remedy == "remove its file from one of the two datasets"
    assert not mixture.split.exists()


@pytest.mark.parametrize("written_again", [True, False])
def test_a_file_that_was_written_again_is_the_same_episode(tmp_path, written_again):
    """Other bytes, but the same frames and actions; other frames make another episode."""
    shared, own = episodes_of("lab"), episodes_of("autumn")
    roles = {"autumn": {"train": [own[0], shared[0]], "val": own[1:3], "test": own[3:5]}}
    episodes = {"autumn": [own[0], shared[0], *own[1:5]]}
    mixture = make_mixture(tmp_path, episodes=episodes, roles=roles)
    content = list(Manifest.read(mixture.manifest).episodes)
    place = [one.name for one in content].index(f"autumn/{shared[0]}")
    assert content[0].frames == content[place].frames
    changed = {"raw_sha256": "1" * 64}
    if not written_again:
        changed["frames_sha256"] = "2" * 64
    content[place] = content[place].model_copy(update=changed)
    rewrite_manifest(mixture.manifest, content)
    mixture.mix()
    unused = [one.episode for one in DatasetSplit.read(mixture.split).folds[0].unused]
    assert unused == ([f"autumn/{shared[0]}"] if written_again else [])


def test_what_one_dataset_leaves_unused_the_mixture_does_too(tmp_path):
    mixture = make_mixture(tmp_path)
    path = tmp_path / "lab/split.json"
    split = DatasetSplit.read(path)
    first, *others = split.folds[0].roles["train"]
    fold = split.folds[0].model_copy(
        update={
            "roles": {**split.folds[0].roles, "train": tuple(others)},
            "unused": (UnusedEpisode(episode=first, reason=verbatim("held out")),),
        }
    )
    split.model_copy(update={"folds": (fold,)}).write(path)
    mixture.mix()
    (unused,) = DatasetSplit.read(mixture.split).folds[0].unused
    assert (unused.episode, str(unused.reason)) == (f"lab/{first}", "held out")


def test_other_numbers_of_folds_are_refused(tmp_path):
    mixture = make_mixture(tmp_path)
    path = tmp_path / "lab/split.json"
    split = DatasetSplit.read(path)
    split.model_copy(update={"folds": split.folds * 2}).write(path)
    with pytest.raises(UserError, match=r"lab \(2\), autumn \(1\)"):
        mixture.mix()


def test_a_subset_takes_its_share_of_each_dataset(tmp_path):
    roles = {
        name: {"train": episodes_of(name)[:4], "val": episodes_of(name)[4:5]} for name in MEMBERS
    }
    for name in MEMBERS:
        roles[name]["test"] = episodes_of(name)[5:]
    mixture = make_mixture(tmp_path, roles=roles)
    mixture.mix()
    dataset = mixture.dataset
    taken = {
        count: load_split(mixture.split, dataset, 0, count).of["train"] for count in (2, 4, 6, 8)
    }
    for count, episodes in taken.items():
        assert (dataset.part[list(episodes)] == 0).sum() == count / 2
    assert set(taken[2]) < set(taken[4]) < set(taken[6]) < set(taken[8])


def test_a_dataset_of_which_nothing_is_left_is_refused(tmp_path):
    shared, own = episodes_of("lab"), episodes_of("autumn")
    episodes = {"autumn": [*own[:4], *shared[4:]]}
    roles = {"autumn": {"train": own[:2], "val": own[2:4], "test": shared[4:]}}
    mixture = make_mixture(tmp_path, episodes=episodes, roles=roles)
    with pytest.raises(Problems) as caught:
        mixture.mix()
    (problem,) = caught.value.problems
    assert problem.found == "all 2 test episodes of autumn are in an earlier dataset, too"
