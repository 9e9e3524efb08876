"""A step depends on batch_size × accumulation, and not on the factors."""

import csv
from itertools import chain

import numpy as np
import pytest

from mobile_vla.config.model import Lora
from mobile_vla.config.training import Training
from mobile_vla.data.windows import WindowTable
from mobile_vla.training.batches import epoch_batches, epoch_steps, steps_per_epoch
from support.processes import difference, weights
from support.training_run import Inputs, run, settings_of

FACTORS = [(12, 1), (6, 2), (4, 3), (3, 4), (2, 6), (1, 12)]


def table_of(*lengths, mirrored=False):
    """Return windows of episodes with so many each; what they show does not count."""
    episode = np.repeat(np.arange(len(lengths)), lengths)
    count = len(episode)
    table = WindowTable(
        episode=episode,
        last_frame=np.arange(count),
        frames=np.arange(count)[:, None],
        targets=np.arange(count)[:, None],
        mask=np.ones((count, 1), dtype=bool),
        mirrored=np.zeros(count, dtype=bool),
        part=np.zeros(count, dtype=np.int64),
        weights=(1.0,),
    )
    return table.with_mirror_images(count) if mirrored else table


def steps_of(table, size, accumulation, segment, epoch=0):
    training = Training(batch_size=size, accumulation=accumulation, segment=segment)
    return epoch_steps(table, training, seed=3, epoch=epoch)


@pytest.mark.parametrize("segment", [1, 2, 5, 40])
@pytest.mark.parametrize(
    "table",
    [
        table_of(9, 12, 7),  # a last step of 4
        table_of(24, 12),  # all steps are full
        table_of(5),  # fewer windows than a step
        table_of(8, 5, mirrored=True),
    ],
)
def test_the_windows_of_a_step_are_the_same_in_the_same_order(table, segment):
    for epoch in range(3):
        whole = [batch.tolist() for (batch,) in steps_of(table, 12, 1, segment, epoch)]
        assert sorted(chain.from_iterable(whole)) == list(range(len(table)))
        for size, accumulation in FACTORS:
            steps = steps_of(table, size, accumulation, segment, epoch)
            assert [np.concatenate(step).tolist() for step in steps] == whole
            assert len(steps) == steps_per_epoch(len(table), size, accumulation)
            for step in steps:
                assert len(step) <= accumulation
                assert all(len(batch) == size for batch in step[:-1])
                assert 1 <= len(step[-1]) <= size


def test_without_accumulation_batches_are_those_of_all_earlier_releases():
    table = table_of(6, 9, 4)
    batches = [[11, 12, 17, 18], [13, 14, 9, 10], [4, 5, 6], [2, 3, 15, 16], [0, 1, 7, 8]]
    assert [batch.tolist() for batch in epoch_batches(table, 4, 2, seed=3, epoch=1)] == batches
    assert [[batch.tolist() for batch in step] for step in steps_of(table, 4, 1, 2, epoch=1)] == [
        [batch] for batch in batches
    ]


def test_a_step_larger_than_any_array_holds_all_windows():
    table = table_of(6, 9)
    for size, accumulation in ((10**6, 1), (10**6, 10**6)):
        ((batch,),) = steps_of(table, size, accumulation, 2)
        assert sorted(batch) == list(range(15))


def test_a_run_comes_to_the_same_with_each_factorisation(tmp_path):
    """Chunks are masked at an episode's end, and an epoch's last step is a short one."""
    inputs = Inputs.make(tmp_path / "inputs", dropout=0.0)

    def train(size, accumulation):
        found = settings_of(epochs=2, batch_size=size, accumulation=accumulation)
        head = found.policy.head.model_copy(update={"dropout": 0.0})
        policy = found.policy.model_copy(update={"lora": Lora(r=2, dropout=0.0), "head": head})
        folder = tmp_path / f"{size}x{accumulation}"
        run(inputs, folder, found.model_copy(update={"policy": policy}))
        with (folder / "metrics.csv").open() as file:
            rows = [[float(value) for value in row.values()] for row in csv.DictReader(file)]
        return weights(folder / "last"), rows

    one, losses = train(6, 1)
    for size, accumulation in ((3, 2), (1, 6)):
        other, found = train(size, accumulation)
        assert difference(one, other) < 1e-5
        for row, expected in zip(found, losses, strict=True):
            assert row == pytest.approx(expected, rel=1e-5, abs=1e-9)
