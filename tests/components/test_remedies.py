"""Which changes make a step fit: the mildest combination, whatever each comes to alone."""

from functools import partial

import pytest

from mobile_vla.training.remedies import Batches, Remedies, estimated_batch
from mobile_vla.training.worst_case import WorstCase
from support.policy_settings import policy_settings

WEIGHTS = {"full": 16.0, "lora": 4.0, "none": 1.0}  # with what the optimiser keeps


def cost(settings, case):
    """Return what a step takes in a world of plain numbers: 1 for each frame in float32."""
    frame = 0.1 if case.cut == "readout" else 0.5 if case.checkpointing else 1.0
    half = 0.5 if case.precision == "bf16" else 1.0
    return case.processes * half * (WEIGHTS[settings.finetune] + frame * case.frames)


def remedies_of(finetune, batch_size=8, processes=1, **changes):
    settings = policy_settings(finetune)
    windows = -(-batch_size // processes)
    values = {"tokens": 30, "accumulation": 1, "precision": "fp32", "checkpointing": False}
    case = WorstCase(
        frames=4 * windows,
        windows=windows,
        cut=settings.cut,
        processes=processes,
        **{**values, **changes},
    )

    batches = Batches(batch_size, processes, partial(estimated_batch, case, 4))
    return Remedies(settings, case, batches, cost)


BATCH = "training.batch_size: {}, and accumulation: {} for the same steps"
CHECKPOINTING, BF16 = "training.gradient_checkpointing: true", "training.precision: bf16"


@pytest.mark.parametrize(
    ("limit", "changes"),
    [
        (30, (BATCH.format(4, 2),)),  # one is enough
        (13, (BATCH.format(2, 4),)),  # more than one half
        (6, (BATCH.format(1, 8), CHECKPOINTING)),
        (5, (BATCH.format(1, 8), BF16)),
        (3.5, (BATCH.format(1, 8), BF16, CHECKPOINTING)),
        (2.9, (BATCH.format(4, 2), "finetune: none")),  # in place of what is not enough
        (0.75, (BATCH.format(1, 8), "finetune: none", BF16)),
    ],
)
def test_the_mildest_combination_is_found(limit, changes):
    remedies = remedies_of("lora")
    found = remedies.that_fits(limit)
    assert sorted(found.changes) == sorted(changes) and found.gb <= limit


def test_none_alone_is_near_and_all_together_fit():
    remedies = remedies_of("full", batch_size=16)
    limit = 2.0
    assert min(remedy.gb for remedy in remedies.alone()) > 3 * limit
    assert remedies.that_fits(limit).gb <= limit
    assert remedies.that_fits(0.5) is None
    assert 0.5 < remedies.least().gb <= 0.75


@pytest.mark.parametrize(
    ("size", "smaller"), [(6, [3, 1]), (9, [3, 1]), (7, [1]), (1, []), (10**18, None)]
)
def test_a_smaller_batch_divides_the_one_that_it_replaces(size, smaller):
    """Else the windows of a step would be others."""
    found, limit = [], 1e30
    remedies = remedies_of("none", batch_size=size, accumulation=2)
    while (remedy := remedies.that_fits(limit)) is not None:
        limit = remedy.gb * 0.999
        if remedy.changes and "batch_size" in remedy.changes[0] and len(remedy.changes) == 1:
            words = remedy.changes[0].replace(",", "").split()
            found.append(int(words[1]))
            assert int(words[1]) * int(words[4]) == 2 * size
    assert found == smaller or (smaller is None and found[-1] == 1)


def test_several_processes_can_become_one():
    found = remedies_of("full", batch_size=8, processes=4).that_fits(25)
    assert "training.processes: 1" in found.changes and found.gb <= 25
    assert "training.processes: 1" not in remedies_of("full").that_fits(21).changes


@pytest.mark.parametrize("finetune", ["lora", "full", "none"])
def test_what_is_done_already_is_not_proposed(finetune):
    changes = {"precision": "bf16", "checkpointing": True}
    proposed = [
        change for remedy in remedies_of(finetune, **changes).alone() for change in remedy.changes
    ]
    assert not {BF16, CHECKPOINTING, f"finetune: {finetune}"} & set(proposed)
    assert len(proposed) == {"full": 3, "lora": 2, "none": 1}[finetune]
