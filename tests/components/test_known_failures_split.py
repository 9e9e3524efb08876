"""What went wrong with splits before: each number is that of the users' list of failures."""

from collections import Counter

import numpy as np
import pytest

from mobile_vla.config.evaluation import EvaluateSettings, Evaluation
from mobile_vla.config.split import Holdout, KFold, LeaveOneOut, SplitSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.config.windows import Windows
from mobile_vla.data.result import ROLES, DatasetSplit
from mobile_vla.data.roles import load_split
from mobile_vla.data.split import FoldRoles, split
from mobile_vla.data.windows import make_windows
from mobile_vla.errors import Problems, UserError
from mobile_vla.evaluation.evaluate import evaluate
from mobile_vla.files import read_json
from mobile_vla.layout import EvaluationFiles, SplitFiles
from support.rewriting import rewrite
from support.synthetic_datasets import make_dataset, rewrite_manifest
from support.training_run import Inputs, run, settings_of

KINDS = [
    Holdout(stratify_by=("side",)),
    KFold(kind="kfold", folds=4, val=0.2, stratify_by=("side",)),
    LeaveOneOut(kind="leave_one_out", key="side", stratify_by=("side",)),
]


def names(sides):
    """Return names in the order of time, as a collector stamps them."""
    return [
        f"episode_20251103_{9 + i // 60:02}{i % 60:02}00_1box_hori_{side}_core_close"
        for i, side in enumerate(sides)
    ]


def make(folder, wanted, sides=("left",) * 20 + ("right",) * 20):
    dataset = make_dataset(folder, dict.fromkeys(names(sides), 9))
    settings = SplitSettings(dataset="made", split=wanted)
    split(settings, SplitFiles(folder / "split.json"), manifest=folder / "manifest.json")
    return dataset, folder / "split.json"


def test_failure_06_the_side_that_was_recorded_last_is_not_all_of_validation(tmp_path):
    # Left was driven first and right last: in the order of time the last fifth is all right.
    dataset, path = make(tmp_path, Holdout(train=0.8, val=0.2, test=0, stratify_by=("side",)))
    chosen = load_split(path, dataset, 0).of["val"]
    sides = Counter(dataset.episodes[i].scenario["side"] for i in chosen)
    assert sides == {"left": 4, "right": 4}

    episodes = [episode.name for episode in dataset.episodes]
    chronological = {name: "train" if i < 32 else "val" for i, name in enumerate(episodes)}
    cells = {name: (("side", name.split("_")[5]),) for name in episodes}
    fold = FoldRoles(None, chronological, cells, {})
    assert fold.cells_without_validation() == [(("side", "left"),)]
    assert fold.counts()[(("side", "left"),)] == {"train": 20}

    # One right episode cannot be in training and validation both: that is said, with the counts.
    with pytest.raises(UserError, match=r"(?s)right +[01] +0 .*stratify_by: \[\]"):
        make(tmp_path / "few", Holdout(stratify_by=("side",)), ("left",) * 12 + ("right",))


@pytest.mark.parametrize("wanted", KINDS, ids=lambda wanted: wanted.kind)
def test_failure_07_windows_of_one_episode_never_stand_on_both_sides(tmp_path, wanted):
    dataset, path = make(tmp_path, wanted)
    for fold in range(wanted.count):
        roles = load_split(path, dataset, fold).of
        frames = {
            role: np.unique(make_windows(dataset, roles[role], Windows(window=3, chunk=4)).frames)
            for role in ROLES
        }
        assert all(len(rows) for rows in frames.values())
        for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
            assert not np.intersect1d(frames[one], frames[other]).size

    # A split that was edited by hand is checked again wherever it is used.
    content = read_json(path)
    edited = content["folds"][0]["roles"]
    edited["val"].append(edited["train"][0])
    rewrite(path, content)
    with pytest.raises(Problems, match="is in train and in val"):
        load_split(path, dataset, 0)


def test_failure_08_nothing_is_drawn_twice_and_the_seed_alone_decides(tmp_path):
    wanted = Holdout(stratify_by=("side",), seed=3)
    dataset, path = make(tmp_path / "one", wanted)
    _, again = make(tmp_path / "two", wanted)
    _, other = make(tmp_path / "three", wanted.model_copy(update={"seed": 4}))
    assert path.read_bytes() == again.read_bytes()
    assert path.read_bytes() != other.read_bytes()
    roles = DatasetSplit.read(path).folds[0].roles
    drawn = Counter(name for members in roles.values() for name in members)
    assert drawn == {episode.name: 1 for episode in dataset.episodes}

    # A copy of an episode under another name is a draw with replacement too.
    copied, first = roles["val"][0], roles["train"][0]
    same = {"raw_sha256": dataset.episodes[dataset.index(first)].raw_sha256}
    episodes = list(dataset.episodes)
    place = dataset.index(copied)
    episodes[place] = episodes[place].model_copy(update=same)
    rewrite_manifest(tmp_path / "one/manifest.json", episodes)
    settings = SplitSettings(dataset="made", split=wanted)
    with pytest.raises(Problems, match=rf"{first} \(train\) and {copied} \(val\)"):
        split(settings, SplitFiles(path), manifest=tmp_path / "one/manifest.json")


def test_failure_09_what_is_scored_is_what_the_split_says_and_no_training_episode(tmp_path):
    inputs = Inputs.make(tmp_path)
    settings = settings_of(epochs=1)
    run(inputs, tmp_path / "run", settings)
    files = inputs.of_policy(tmp_path / "run/policy/policy.json")
    outputs = EvaluationFiles(tmp_path / "evaluation.json", tmp_path / "predictions.npz")
    scored = EvaluateSettings(
        experiment="lora",
        run="seed0",
        seed=0,
        windows=settings.windows,
        policy=settings.policy,
        precision="fp32",
        threads=1,
        huber_delta=1.0,
        evaluation=Evaluation(),
        uncertainty=Uncertainty(draws=1000),
    )
    evaluate(scored, files, outputs, threads=1)
    roles = DatasetSplit.read(inputs.split).folds[0].roles
    predicted = set(np.load(outputs.predictions)["episode"].tolist())
    assert predicted == set(roles["test"]) and not predicted & set(roles["train"])
    assert read_json(outputs.evaluation)["trained_on"]["fold"] == 0

    # Roles that change places after the training are another split: its policy is not scored.
    content = read_json(inputs.split)
    edited = content["folds"][0]["roles"]
    edited["train"], edited["test"] = edited["test"], edited["train"]
    rewrite(inputs.split, content)
    with pytest.raises(UserError, match="may have seen the scored"):
        evaluate(scored, files, outputs, threads=1)
