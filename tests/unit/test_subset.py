"""Subsets of the training episodes: nested, balanced over the cells, and the split's alone."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.config.split import Holdout, SplitSettings
from mobile_vla.data.assignment import cell_of
from mobile_vla.data.result import Episode
from mobile_vla.data.roles import load_split, subset_order
from mobile_vla.data.split import split
from mobile_vla.errors import UserError
from mobile_vla.layout import SplitFiles
from support.synthetic_datasets import make_dataset, names

KEYS = ("side", "distance")


def episode(name, side, distance, group):
    scenario = {"side": side, "distance": distance}
    return Episode(
        episode=name,
        frames=4,
        scenario=scenario,
        group=group,
        instruction=None,
        raw_sha256=name,
        frames_sha256=name,
        actions_sha256=name,
    )


def population(rows):
    return [episode(f"e{i}", side, at, f"g{group}") for i, (side, at, group) in enumerate(rows)]


populations = st.lists(
    st.tuples(
        st.sampled_from(["left", "right", None]),
        st.sampled_from(["close", "far"]),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=50,
).map(population)


@given(populations, st.integers(0, 99))
def test_it_is_an_order_of_all_episodes_whatever_order_they_come_in(episodes, seed):
    order = subset_order(episodes, KEYS, seed)
    assert sorted(order) == list(range(len(episodes)))
    turned = list(reversed(episodes))
    again = [turned[i].name for i in subset_order(turned, KEYS, seed)]
    assert again == [episodes[i].name for i in order]


@given(populations, st.integers(0, 99))
def test_groups_stay_together_as_far_as_the_number_allows(episodes, seed):
    order = [episodes[i].group for i in subset_order(episodes, KEYS, seed)]
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes == len(set(order)) - 1


sides = st.sampled_from(["left", "right"])
distances = st.sampled_from(["close", "medium", "far"])


@given(st.lists(st.tuples(sides, distances), min_size=1, max_size=60), st.integers(0, 99))
def test_every_beginning_has_each_cells_share(rows, seed):
    """A beginning ends at some place t: of n groups of a cell it has n·t, rounded up or down."""
    episodes = population([(side, at, i) for i, (side, at) in enumerate(rows)])
    cells = [cell_of([one.scenario], KEYS) for one in episodes]
    order, totals = subset_order(episodes, KEYS, seed), Counter(cells)
    for count in range(1, len(order) + 1):
        found = Counter(cells[i] for i in order[:count])
        lowest = max((found[cell] - 1) / total for cell, total in totals.items())
        highest = min((found[cell] + 1) / total for cell, total in totals.items())
        assert lowest <= highest


def test_the_seed_matters():
    episodes = population([("left", "close", i) for i in range(20)])
    assert subset_order(episodes, KEYS, 0) != subset_order(episodes, KEYS, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    dataset = make_dataset(folder, dict.fromkeys(names(40), 4))
    wanted = SplitSettings(dataset="made", split=Holdout(stratify_by=("side",)))
    split(wanted, SplitFiles(folder / "split.json"), manifest=folder / "manifest.json")
    return dataset, folder / "split.json"


def test_a_smaller_subset_is_part_of_every_larger_one_and_what_is_scored_stays(made):
    dataset, path = made
    whole = load_split(path, dataset, 0).of
    before = ()
    for count in (1, 2, 13, 20, len(whole["train"])):
        own = load_split(path, dataset, 0, count).of
        assert len(own["train"]) == count and set(before) < set(own["train"])
        assert (own["val"], own["test"]) == (whole["val"], whole["test"])
        sides = Counter(dataset.episodes[i].scenario["side"] for i in own["train"])
        assert abs(sides["left"] - sides["right"]) <= 1
        before = own["train"]
    assert before == whole["train"]


def test_more_than_there_are_is_an_error_with_the_counts(made):
    dataset, path = made
    with pytest.raises(UserError, match=r"\(subset\): found 29, but .* gives 28 of its 40"):
        load_split(path, dataset, 0, 29)
