"""Which training windows an epoch draws of a mixture: by weight, and a function of its number."""

import signal
from collections import Counter

import numpy as np
import pytest

from mobile_vla.config.training import Matched, Training
from mobile_vla.config.windows import Windows
from mobile_vla.data.windows import make_windows
from mobile_vla.model.folder import read_description
from mobile_vla.training.batches import epoch_batches, epoch_steps, steps_of, steps_per_epoch
from mobile_vla.training.result import TrainingResult
from mobile_vla.training.trainer import Trainer
from support.mixtures import make_mixture
from support.tiny import make_backbone
from support.training_run import Inputs, in_child, results_of, run, settings_of

WINDOWS = Windows(window=2, chunk=3, tail="mask")


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    made = make_mixture(tmp_path_factory.mktemp("mixture"), frames=True)
    made.mix()
    return made


@pytest.fixture(scope="module")
def inputs(mixture):
    """What a run on the mixture reads."""
    backbone = make_backbone(mixture.folder / "backbone")
    files = {"manifest": mixture.manifest, "split": mixture.split, "backbone": backbone}
    return Inputs(**files, features=mixture.store(backbone))


@pytest.fixture(scope="module")
def table(mixture):
    """The windows of one episode of the first dataset, and three of the second."""
    return make_windows(mixture.dataset, (0, 6, 7, 8), WINDOWS)


def drawn(table, epoch, *, size=4, segment=2, seed=3):
    return np.concatenate(epoch_batches(table, size, segment, seed, epoch))


def weighted(table, mixture, **weights):
    return table.weighted(mixture.dataset, weights)


@pytest.mark.parametrize("segment", [1, 2, 3])
def test_with_the_weight_one_each_window_is_drawn_once_as_from_one_dataset(mixture, table, segment):
    again = weighted(table, mixture, lab=1, autumn=1)
    assert sorted(drawn(again, 0, segment=segment)) == list(range(len(table)))
    assert drawn(again, 5, segment=segment).tolist() == drawn(table, 5, segment=segment).tolist()


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("weight", [0.5, 0.3, 1, 1.7, 2, 3.25])
def test_a_weight_says_how_often_a_window_is_drawn(mixture, table, weight, mirror):
    """In each epoch as many windows, and over the epochs none more than once more than another."""
    if mirror:
        table = table.with_mirror_images(mixture.dataset.rows)
    chosen = weighted(table, mixture, autumn=weight)
    own = np.flatnonzero(chosen.part == 1)
    others = np.flatnonzero(chosen.part == 0)
    counts = Counter()
    for epoch in range(7):
        windows = drawn(chosen, epoch)
        assert len(windows) == chosen.drawn_windows == len(others) + chosen.drawn(1)
        assert Counter(windows.tolist())[int(others[0])] == 1
        assert np.isin(windows, own).sum() == round(len(own) * weight)
        counts.update(windows[np.isin(windows, own)].tolist())
    each = [counts[int(window)] for window in own]
    assert max(each) - min(each) <= 1
    assert sum(each) == 7 * chosen.drawn(1)


def test_an_epoch_is_a_function_of_its_number_and_differs_from_the_next(mixture, table):
    chosen = weighted(table, mixture, lab=0.5, autumn=1.5)
    assert drawn(chosen, 4).tolist() == drawn(chosen, 4).tolist()
    assert drawn(chosen, 4).tolist() != drawn(chosen, 5).tolist()
    assert sorted(drawn(chosen, 4)) != sorted(drawn(chosen, 5))


def test_neighbours_stay_together_where_only_a_part_of_the_windows_is_drawn(mixture, table):
    chosen = weighted(table, mixture, lab=0.1, autumn=0.5)
    windows = drawn(chosen, 0, size=8, segment=4)
    assert (np.diff(windows) == 1).sum() >= len(windows) // 2


@pytest.mark.parametrize("factors", [(6, 2), (4, 3), (3, 4), (1, 12)])
def test_the_windows_of_a_step_depend_on_the_product_of_its_factors(mixture, table, factors):
    chosen = weighted(table, mixture, lab=2, autumn=0.7)
    steps = [
        [
            np.concatenate(step).tolist()
            for step in epoch_steps(chosen, Training(batch_size=b, accumulation=a), 3, 1)
        ]
        for b, a in [(12, 1), factors]
    ]
    assert steps[0] == steps[1]
    assert len(steps[0]) == steps_per_epoch(chosen.drawn_windows, 12, 1)


def test_a_weight_that_rounds_to_nothing_draws_a_window(mixture, table):
    assert weighted(table, mixture, lab=0.001).drawn(0) == 1


def test_equal_steps_count_the_windows_that_are_drawn(mixture):
    values = {"windows": WINDOWS, "subset": None, "mirror": False, "epochs": 5}
    other = Matched(**values, batch_size=4, accumulation=1, weights={"lab": 1, "autumn": 3})
    table = make_windows(mixture.dataset, (0, 1, 6, 7), WINDOWS)
    many = weighted(table, mixture, autumn=3).drawn_windows
    assert many > len(table)
    assert steps_of(other, mixture.dataset, mixture.split, 0) == 5 * -(-many // 4)


def settings():
    return settings_of(epochs=3, accumulation=1, batch_size=8).model_copy(
        update={"weights": {"lab": 0.5, "autumn": 1.5}}
    )


def test_a_killed_run_on_a_mixture_ends_bit_for_bit_like_one_that_was_not(inputs, tmp_path):
    def killed():
        original = Trainer.step

        def stepping(self, number, batches):
            found = original(self, number, batches)
            if number == 4:
                signal.raise_signal(signal.SIGKILL)
            return found

        Trainer.step = stepping
        run(inputs, tmp_path / "killed", settings(), save_every=1)

    assert in_child(lambda: run(inputs, tmp_path / "whole", settings())) == 0
    assert in_child(killed) == -signal.SIGKILL
    assert in_child(lambda: run(inputs, tmp_path / "killed", settings(), save_every=1)) == 0
    assert results_of(tmp_path / "killed") == results_of(tmp_path / "whole")

    result = TrainingResult.read(tmp_path / "whole/training_results.json")
    lab, autumn = result.mixture
    assert (lab.dataset, lab.weight, lab.episodes) == ("lab", 0.5, 2)
    assert (lab.drawn, autumn.drawn) == (round(lab.windows / 2), round(autumn.windows * 1.5))
    assert result.steps == 3 * -(-(lab.drawn + autumn.drawn) // 8)
    data = read_description(tmp_path / "whole/policy").data
    assert (data.dataset, data.datasets) == ("mix", ("lab", "autumn"))
