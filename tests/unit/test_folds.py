"""The kinds of splits: who is tested in which fold, who is left out, and which cells are empty."""

import logging
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mobile_vla.config.split import Holdout, KFold, LeaveOneOut, SplitSettings
from mobile_vla.data.result import DatasetSplit, Episode, Manifest
from mobile_vla.data.roles import load_split
from mobile_vla.data.split import make_folds, split
from mobile_vla.errors import Problems, UserError
from mobile_vla.layout import SplitFiles
from support.synthetic_datasets import make_dataset, rewrite_manifest

SIDES = ("left", "right")
DISTANCES = ("close", "medium", "far")


def entry(index, side="left", distance="close", group=None):
    """Return an episode as the manifest lists it."""
    scenario = dict.fromkeys(("obstacles", "layout", "style"))
    name = f"episode-{index:03}"
    return Episode(
        episode=name,
        frames=4,
        scenario={**scenario, "side": side, "distance": distance},
        group=group or name,
        instruction=None,
        raw_sha256=f"digest of {name}",
        frames_sha256=f"digest of {name}",
        actions_sha256=f"digest of {name}",
    )


def alone(count):
    """Return episodes that are each a group of its own, in turn in every cell."""
    return [entry(i, SIDES[i % 2], DISTANCES[i // 2 % 3]) for i in range(count)]


def scenes(count):
    """Return episodes of both sides of each scene: a group holds left and right."""
    return [
        entry(2 * i + j, side, DISTANCES[i % 3], f"scene-{i}")
        for i in range(count)
        for j, side in enumerate(SIDES)
    ]


populations = st.lists(
    st.tuples(
        st.sampled_from([*SIDES, None]),
        st.sampled_from([*DISTANCES, None]),
        st.integers(0, 25),  # several episodes may share a group
    ),
    min_size=2,
    max_size=60,
).map(lambda rows: [entry(i, side, at, f"group-{g}") for i, (side, at, g) in enumerate(rows)])

KEYS = ("side", "distance")
kinds = st.one_of(
    st.builds(Holdout, seed=st.integers(0, 99), stratify_by=st.just(KEYS)),
    st.builds(
        KFold,
        kind=st.just("kfold"),
        folds=st.integers(2, 6),
        seed=st.integers(0, 99),
        stratify_by=st.just(KEYS),
    ),
    st.builds(
        LeaveOneOut,
        kind=st.just("leave_one_out"),
        key=st.sampled_from(["side", "distance"]),
        seed=st.integers(0, 99),
        stratify_by=st.just(KEYS),
    ),
)


@settings(max_examples=200)
@given(populations, kinds)
def test_every_fold_places_each_episode_once_and_no_group_on_two_sides(episodes, wanted):
    try:
        folds = make_folds(episodes, wanted)
    except UserError:
        assume(False)  # too few groups, which has a test of its own
    assert len(folds) == wanted.count
    groups = {episode.name: episode.group for episode in episodes}
    for fold in folds:
        assert not fold.roles.keys() & fold.unused.keys()
        assert fold.roles.keys() | fold.unused.keys() == groups.keys()
        assert set(fold.roles.values()) == {"train", "val", "test"}
        sides = {}
        for name, role in fold.roles.items():
            assert sides.setdefault(groups[name], role) == role
    again = make_folds(list(reversed(episodes)), wanted)
    assert [fold.roles for fold in folds] == [fold.roles for fold in again]


@given(populations, st.integers(2, 6), st.integers(0, 99))
def test_kfold_tests_each_episode_exactly_once(episodes, count, seed):
    wanted = KFold(kind="kfold", folds=count, val=0.2, seed=seed, stratify_by=KEYS)
    try:
        folds = make_folds(episodes, wanted)
    except UserError:
        assume(False)
    tested = Counter(name for fold in folds for name, role in fold.roles.items() if role == "test")
    assert tested == {episode.name: 1 for episode in episodes}


def test_kfold_gives_validation_its_share_of_all_and_not_always_the_same():
    episodes = alone(60)
    folds = make_folds(episodes, KFold(kind="kfold", folds=4, val=0.25, stratify_by=("side",)))
    chosen = [{name for name, role in fold.roles.items() if role == "val"} for fold in folds]
    assert all(Counter(fold.roles.values())["test"] == 15 for fold in folds)
    assert all(14 <= len(names) <= 16 for names in chosen)
    assert len(set().union(*chosen)) > 30


def test_the_value_that_is_held_out_is_tested_and_known_nowhere_else():
    episodes = alone(30)
    left, right = make_folds(
        episodes, LeaveOneOut(kind="leave_one_out", key="side", stratify_by=("distance",))
    )
    assert (left.held_out, right.held_out) == SIDES
    for fold in (left, right):
        for episode in episodes:
            tested = fold.roles[episode.name] == "test"
            assert tested == (episode.scenario["side"] == fold.held_out)
        assert not fold.unused
        assert Counter(fold.roles.values()) == {"test": 15, "train": 12, "val": 3}


def test_scenes_with_both_sides_are_dealt_between_test_and_training():
    episodes = scenes(12)
    wanted = LeaveOneOut(kind="leave_one_out", key="side", stratify_by=("side",))
    left, right = make_folds(episodes, wanted)
    tested = []
    for fold in (left, right):
        scored = [e for e in episodes if fold.roles.get(e.name) == "test"]
        others = [e for e in episodes if fold.roles.get(e.name) in ("train", "val")]
        assert len(scored) == len(others) == 6
        assert {episode.scenario["side"] for episode in scored} == {fold.held_out}
        assert {episode.scenario["side"] for episode in others} == set(SIDES) - {fold.held_out}
        assert not {e.group for e in scored} & {e.group for e in others}
        assert len(fold.unused) == 12
        reasons = sorted(
            {str(reason).split("scene-")[1].lstrip("0123456789") for reason in fold.unused.values()}
        )
        assert reasons == [
            f" is tested on side {fold.held_out}, and it has another",
            " train or select",
        ]
        tested += [episode.group for episode in scored]
    assert len(set(tested)) == 12  # each scene is tested in one of the folds


def test_one_value_alone_is_one_fold():
    wanted = LeaveOneOut(kind="leave_one_out", key="side", values=("right",), stratify_by=())
    (fold,) = make_folds(alone(12), wanted)
    assert fold.held_out == "right" and wanted.count == 1


def test_an_episode_whose_name_does_not_say_the_key_is_unused_with_the_reason():
    episodes = [*alone(12), entry(12, side=None)]
    wanted = LeaveOneOut(kind="leave_one_out", key="side", stratify_by=())
    for fold in make_folds(episodes, wanted):
        ((name, reason),) = fold.unused.items()
        assert (name, str(reason)) == ("episode-012", "its name does not say its side")


def test_a_value_without_episodes_is_an_error_with_the_counts():
    episodes = [entry(i, "left", DISTANCES[i % 2]) for i in range(8)] + [entry(8, "right", None)]
    with pytest.raises(UserError) as error:
        make_folds(episodes, LeaveOneOut(kind="leave_one_out", key="distance"))
    assert "holds out distance far has no episode of far to test" in str(error.value)
    assert "episodes by distance: close 4, medium 4, not said 1" in str(error.value)
    assert "`split.values`" in str(error.value)
    with pytest.raises(UserError, match=r"nothing to train and select on \(1 group"):
        make_folds(episodes, LeaveOneOut(kind="leave_one_out", key="side", values=("left",)))


def test_a_fold_too_many_is_an_error_that_says_so():
    with pytest.raises(UserError, match=r"3 groups .* fold 3 .*lower `split.folds`"):
        make_folds(alone(3), KFold(kind="kfold", folds=4))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "kfold", "folds": 2, "val": 0.5}, "leave nothing to train on"),
        ({"kind": "leave_one_out", "key": "side", "values": ["lft"]}, "there are left, right"),
        ({"kind": "leave_one_out", "key": "side", "values": ["left", "left"]}, "once"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(values, words):
    with pytest.raises(ValidationError, match=words):
        SplitSettings.model_validate({"dataset": "d", "split": values})


def test_more_obstacles_than_the_scheme_names_may_be_held_out():
    wanted = LeaveOneOut(kind="leave_one_out", key="obstacles", values=("3box",))
    assert wanted.possible == ("1box", "2box", "3box")


def written(folder, wanted, change=None, lengths=24):
    """Write a manifest and its split; return the dataset and the split's path."""
    names = {
        f"episode_20251103_09{i:02}00_1box_hori_{SIDES[i % 2]}_core_{DISTANCES[i // 2 % 3]}": 4
        for i in range(lengths)
    }
    dataset = make_dataset(folder, names)
    if change is not None:
        rewrite_manifest(folder / "manifest.json", change(dataset.episodes))
        dataset = type(dataset).load(folder / "manifest.json", folder / "actions.npy")
    settings = SplitSettings(dataset="made", split=wanted)
    split(settings, SplitFiles(folder / "split.json"), manifest=folder / "manifest.json")
    return dataset, folder / "split.json"


def test_folds_are_read_as_they_were_written(tmp_path):
    wanted = KFold(kind="kfold", folds=3, val=0.25, stratify_by=("side",))
    dataset, path = written(tmp_path, wanted)
    tested = []
    for fold in range(3):
        roles = load_split(path, dataset, fold)
        assert (roles.fold, roles.folds) == (fold, 3)
        assert sorted(i for members in roles.of.values() for i in members) == list(range(24))
        tested += roles.of["test"]
    assert sorted(tested) == list(range(24))


def test_the_unused_are_listed_with_their_reason_and_read_without_a_role(tmp_path):
    def forget(episodes):
        unknown = {**episodes[5].scenario, "side": None}
        changed = episodes[5].model_copy(update={"scenario": unknown})
        return [*episodes[:5], changed, *episodes[6:]]

    wanted = LeaveOneOut(kind="leave_one_out", key="side", stratify_by=())
    dataset, path = written(tmp_path, wanted, forget)
    for fold in (0, 1):
        (unused,) = DatasetSplit.read(path).folds[fold].unused
        assert str(unused.reason) == "its name does not say its side"
        roles = load_split(path, dataset, fold)
        assert sorted(i for members in roles.of.values() for i in members) == [
            i for i in range(24) if i != 5
        ]
        assert roles.held_out == SIDES[fold]


@pytest.mark.parametrize("parts", [{"raw_sha256"}, {"frames_sha256", "actions_sha256"}])
def test_the_same_episode_on_two_sides_is_refused_with_both_names(tmp_path, parts):
    """By its bytes, or by its frames and actions: a file that was written once more."""

    def copy(episodes):
        same = episodes[0].model_dump(include=parts)
        return [episode.model_copy(update=same) for episode in episodes]

    with pytest.raises(Problems) as error:
        written(tmp_path, Holdout(stratify_by=("side",)), copy)
    assert "same frames and actions; remove one of the two files" in str(error.value)
    assert str(error.value).count("episode_20251103_09") >= 4

    dataset, path = written(tmp_path / "whole", Holdout(stratify_by=("side",)))
    roles = DatasetSplit.read(path).folds[0].roles
    tested, trained = (dataset.index(roles[role][0]) for role in ("test", "train"))
    same = dataset.episodes[trained].model_dump(include=parts)
    episodes = list(dataset.episodes)
    episodes[tested] = episodes[tested].model_copy(update=same)
    rewrite_manifest(tmp_path / "whole/manifest.json", episodes)
    dataset = type(dataset).load(tmp_path / "whole/manifest.json", tmp_path / "whole/actions.npy")
    with pytest.raises(Problems) as error:  # its reader checks again
        load_split(path, dataset, 0)
    assert f"{roles['train'][0]} (train) and {roles['test'][0]} (test)" in str(error.value)


def test_an_empty_validation_cell_is_an_error_with_the_table_and_what_works(tmp_path):
    with pytest.raises(UserError) as error:
        written(tmp_path, Holdout(stratify_by=("side", "distance", "style")), lengths=13)
    text = str(error.value)
    assert "cells of `stratify_by: [side, distance, style]` have no validation episode" in text
    assert "side   distance  style  train  val  test" in text
    assert "a validation episode in each cell" in text
    found = text.split("say `stratify_by: [")[1].split("]")[0]
    keys = tuple(found.split(", ")) if found else ()
    episodes = Manifest.read(tmp_path / "manifest.json").episodes
    assert not make_folds(episodes, Holdout(stratify_by=keys))[0].cells_without_validation()
    assert keys != ("side", "distance", "style")
    written(tmp_path / "again", Holdout(stratify_by=keys), lengths=13)


def test_the_fold_with_an_empty_cell_is_named(tmp_path):
    wanted = KFold(kind="kfold", folds=3, val=0.1, stratify_by=("distance", "side"))
    with pytest.raises(UserError, match=r"no validation episode in fold 0, 1.*\n *fold 0:"):
        written(tmp_path, wanted)


def test_empty_test_cells_are_a_warning_and_stay_visible(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    wanted = Holdout(train=0.4, val=0.5, test=0.1, stratify_by=("distance", "side"))
    _, path = written(tmp_path, wanted)
    cells = DatasetSplit.read(path).folds[0].cells
    assert len(cells) == 6 and any(counts.test == 0 for counts in cells)
    assert "cells have no test episode" in caplog.text and "test 0" in caplog.text
