from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobile_vla.config.split import Holdout, SplitSettings
from mobile_vla.data.assignment import assign, cell_of, deal
from mobile_vla.data.result import ROLES, DatasetSplit
from mobile_vla.data.roles import load_split
from mobile_vla.data.split import split
from mobile_vla.errors import Problems, UserError
from mobile_vla.files import read_json
from mobile_vla.layout import SplitFiles
from support.rewriting import rewrite
from support.synthetic_datasets import make_dataset, rewrite_manifest

CELLS = [
    (("side", side), ("distance", distance), ("style", style))
    for side in ("left", "right")
    for distance in ("close", "medium", "far")
    for style in ("core", "variant")
]
OTHERS = [
    (("side", "left+right"), ("distance", "unknown"), ("style", "core")),
    (("side", "unknown"), ("distance", "unknown"), ("style", "unknown")),
]

shares = st.sampled_from(
    [(0.7, 0.15, 0.15), (0.8, 0.2, 0.0), (0.5, 0.25, 0.25), (0.98, 0.01, 0.01)]
)
splits = st.builds(
    lambda parts, seed: Holdout(train=parts[0], val=parts[1], test=parts[2], seed=seed),
    shares,
    st.integers(0, 1000),
)
populations = st.dictionaries(
    st.integers(0, 10**6).map("group-{}".format),
    st.sampled_from(CELLS + OTHERS),
    min_size=4,
    max_size=80,
)


def roles_of(cells, wanted):
    """Return the role of each group as ``holdout`` gives it."""
    shares = {"test": wanted.test, "train": wanted.train, "val": wanted.val}
    remedy = ", or set `split.test: 0`" if wanted.test else ""
    return assign(cells, shares, wanted.seed, remedy=remedy)


def in_cells(cells, roles):
    """Return the counts of roles in each cell."""
    counts = defaultdict(Counter)
    for group, cell in cells.items():
        counts[cell][roles[group]] += 1
    return counts


@given(populations, splits)
def test_every_group_has_one_role_whatever_the_order(cells, wanted):
    roles = roles_of(cells, wanted)
    assert roles.keys() == cells.keys()
    assert roles == roles_of(dict(reversed(cells.items())), wanted)
    present = set(roles.values())
    assert present == (set(ROLES) if wanted.test else {"train", "val"})


@given(populations, splits)
def test_quotas_are_the_shares_rounded_up_or_down(cells, wanted):
    # A rescue takes one group from the largest role, and only where a role would be empty.
    roles = roles_of(cells, wanted)
    off = 0
    for counts in in_cells(cells, roles).values():
        total = sum(counts.values())
        for role in ROLES:
            off += abs(counts[role] - getattr(wanted, role) * total) >= 1.0 + 1e-6
    lonely = sum(count == 1 for count in Counter(roles.values()).values())
    assert off <= 2 * lonely


@given(populations, splits, st.sampled_from(CELLS + OTHERS))
def test_a_new_group_moves_two_at_most_and_none_elsewhere(cells, wanted, cell):
    before = roles_of(cells, wanted)
    after = roles_of({**cells, "new": cell}, wanted)
    moved = [group for group in cells if before[group] != after[group]]
    counts = Counter(before.values()), Counter(after.values())
    tight = any(count[role] <= 1 for count in counts for role in set(before.values()))
    assume(not tight)  # no role is, or was, so small that it may have been rescued
    assert {cells[group] for group in moved} <= {cell}
    assert len(moved) <= 2


@given(
    st.integers(1, 60),
    st.integers(2, 8),
    st.integers(0, 1000),
    st.sampled_from(CELLS + OTHERS),
)
def test_a_new_group_crosses_each_of_the_borders_at_most_once(count, parts, seed, cell):
    """K folds have K − 1 borders in a cell, and a newcomer moves one group across each at most."""
    shares = dict.fromkeys(map(str, range(parts)), 1 / parts)
    cells = {f"group-{index}": cell for index in range(count)}
    before, after = (deal(some, shares, seed) for some in (cells, {**cells, "new": cell}))
    for border in range(1, parts):
        crossed = [
            group
            for group in cells
            if (int(before[group]) < border) != (int(after[group]) < border)
        ]
        assert len(crossed) <= 1
    assert sum(before[group] != after[group] for group in cells) <= parts - 1


@given(splits)
def test_small_cells_do_not_starve_a_role(wanted):
    cells = {f"group-{index}": cell for index, cell in enumerate(CELLS)}
    counts = Counter(roles_of(cells, wanted).values())
    for role in ROLES:
        share = getattr(wanted, role) * len(cells)
        assert abs(counts[role] - share) < 2


@pytest.mark.parametrize("more", [[], [OTHERS[0]]])
def test_single_groups_give_a_fifth_for_validation(more):
    cells = {f"group-{index}": cell for index, cell in enumerate([*CELLS, *more])}
    found = {
        Counter(roles_of(cells, Holdout(train=0.8, val=0.2, test=0, seed=seed)).values())["val"]
        for seed in range(50)
    }
    assert found <= ({2, 3, 4} if more else {2, 3})


def test_the_seed_matters():
    cells = {f"group-{index}": CELLS[index % 12] for index in range(72)}
    assert roles_of(cells, Holdout(seed=0)) != roles_of(cells, Holdout(seed=1))


def test_a_growing_cell_keeps_its_shares():
    cells = {f"group-{index}": CELLS[0] for index in range(200)}
    counts = Counter(roles_of(cells, Holdout()).values())
    assert counts == {"train": 140, "val": 30, "test": 30}


def test_too_few_groups_are_an_error_with_counts():
    cells = {"a": CELLS[0], "b": CELLS[6]}
    with pytest.raises(UserError) as error:
        roles_of(cells, Holdout())
    assert "2 groups of episodes cannot be split into test, train, val" in str(error.value)
    assert "1 in side left, distance close, style core" in str(error.value)
    assert "split.test: 0" in str(error.value)
    assert sorted(roles_of(cells, Holdout(train=0.8, val=0.2, test=0)).values()) == ["train", "val"]


def test_a_cell_joins_the_values_of_its_members():
    members = [{"side": "right", "distance": "far"}, {"side": "left", "distance": None}]
    assert cell_of(members, ("side", "distance", "style")) == (
        ("side", "left+right"),
        ("distance", "far+unknown"),
        ("style", "unknown"),
    )


NAMES = [
    f"episode_20251103_09{index:02}00_1box_hori_{side}_core_{distance}"
    for index, distance in enumerate(["close", "medium", "far"] * 4)
    for side in ("left", "right")
]


@pytest.fixture
def made(tmp_path):
    dataset = make_dataset(tmp_path, dict.fromkeys(NAMES, 4))
    grouped = [  # both sides of a scene are one group
        episode.model_copy(update={"group": episode.name[:23]}) for episode in dataset.episodes
    ]
    rewrite_manifest(tmp_path / "manifest.json", grouped)
    dataset = type(dataset).load(tmp_path / "manifest.json", tmp_path / "actions.npy")
    settings = SplitSettings(dataset="made", split=Holdout(train=0.5, val=0.25, test=0.25))
    split(settings, SplitFiles(tmp_path / "split.json"), manifest=tmp_path / "manifest.json")
    return dataset, tmp_path / "split.json"


def test_the_split_is_read_as_it_was_written(made):
    dataset, path = made
    loaded = load_split(path, dataset, 0)
    roles = loaded.of
    content = DatasetSplit.read(path)
    (fold,) = content.folds
    assert (loaded.fold, loaded.folds, loaded.held_out) == (0, 1, None)
    assert sorted(index for role in roles.values() for index in role) == list(range(24))
    for role, episodes in roles.items():
        assert tuple(dataset.episodes[index].name for index in episodes) == fold.roles[role]
    assert content.settings.seed == 0
    assert [counts.cell for counts in fold.cells] == [
        {"side": "left+right", "distance": distance, "style": "core"}
        for distance in ("close", "far", "medium")
    ]
    assert sum(counts.train + counts.val + counts.test for counts in fold.cells) == 24
    sides = {dataset.episodes[index].scenario["side"] for index in roles["test"]}
    assert sides == {"left", "right"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda roles: roles["val"].append(roles["train"][0]), "is in train and in val"),
        (lambda roles: roles["val"].append("ghost"), "ghost (val) is not in the manifest"),
        (lambda roles: roles["train"].pop(), "has no role"),
        (lambda roles: roles["val"].append(roles["train"].pop()), "and, by"),
    ],
)
def test_a_split_that_leaks_is_refused(made, spoil, message):
    dataset, path = made
    content = read_json(path)
    spoil(content["folds"][0]["roles"])
    rewrite(path, content)
    with pytest.raises(Problems) as error:
        load_split(path, dataset, 0)
    assert message in str(error.value)


def test_a_file_that_is_no_split_is_a_users_error(made):
    dataset, path = made
    rewrite(path, {"folds": [{"roles": {"train": []}}]})
    with pytest.raises(UserError, match=r"split.json \(dataset\): Field required"):
        load_split(path, dataset, 0)


def test_a_fold_that_the_split_does_not_have_is_a_users_error(made):
    dataset, path = made
    with pytest.raises(UserError, match="found 1 fold, expected one numbered 2"):
        load_split(path, dataset, 2)
