"""Prompt swaps: a policy that follows its prompt, a deaf one, and one that does the opposite."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import token_embeddings
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.language import Language, LanguageSettings
from mobile_vla.config.latency import Latency, LatencySettings
from mobile_vla.config.model import FullFinetune, PolicySettings, RunSettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import open_frames
from mobile_vla.language.language import language
from mobile_vla.language.prompt_swap import SwapWindows, score_prompt_swap
from mobile_vla.language.result import LanguageResult
from mobile_vla.latency.latency import latency
from mobile_vla.latency.result import LatencyResult
from mobile_vla.layout import LanguageFiles, LatencyFiles
from mobile_vla.machine import default_device
from mobile_vla.model.policy import Policy
from mobile_vla.model.precision import resolve
from mobile_vla.runs.data import PolicyInputs, trained_on
from support.behaviour_results import swapped_run
from support.synthetic_datasets import make_dataset, names, write_roles
from support.tiny import make_backbone
from support.training_run import origin_of

SIDES = ("left", "right")
UNCERTAINTY = Uncertainty(draws=1000)
TEXTS = tuple(f"pass on the {side}" for side in SIDES)
WINDOWS = Windows(window=2, chunk=2, start="repeat", tail="mask")


@dataclass
class Inputs:
    """A dataset of 14 episodes, 10 of them for validation, and a backbone."""

    folder: Path
    dataset: Dataset
    checkpoint: Checkpoint

    def of_policy(self, folder):
        return PolicyInputs(
            policy=folder / "policy/policy.json",
            manifest=self.folder / "manifest.json",
            actions=self.folder / "actions.npy",
            split=self.folder / "split.json",
            backbone=self.folder / "backbone/backbone.json",
        )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    every = names(14)
    dataset = make_dataset(folder, dict.fromkeys(every, 5), frames=True)
    write_roles(folder / "split.json", {"train": every[:4], "val": every[4:]})
    checkpoint = Checkpoint.read(make_backbone(folder / "backbone"))
    return Inputs(folder, dataset, checkpoint)


def settings_of(finetune="full"):
    return PolicySettings(
        window=2,
        chunk=2,
        finetune=finetune,
        lora=None,
        full=FullFinetune() if finetune == "full" else None,
        head=Lstm(hidden_size=8),
        prompt=Prompt(template="pass on the {side}"),
        actions=Actions(),
    )


@pytest.fixture(scope="module")
def taught(inputs):
    """A head that goes left at the left prompt's readouts, and right at the right one's."""
    policy = fresh(inputs)
    frames = torch.from_numpy(open_frames(inputs.dataset)[np.arange(20)])
    with torch.no_grad():
        both = [policy.encoder.readouts(frames, torch.full((20,), i), "pixels") for i in (0, 1)]
    windows = torch.stack([torch.arange(19), torch.arange(1, 20)], dim=1)
    optimiser = torch.optim.Adam(policy.head.parameters(), lr=0.03)
    for _ in range(150):
        loss = sum(
            (policy.chunks(readouts[windows])[..., 1] - answer).square().mean()
            for readouts, answer in zip(both, (1, -1), strict=True)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return policy.head.state_dict()


def fresh(inputs, finetune="full"):
    checkpoint = inputs.checkpoint
    processor = checkpoint.processor()
    return Policy(settings_of(finetune), checkpoint.model(), processor, TEXTS, 0).eval()


def make_policy(inputs, taught, kind="follows"):
    """Return a policy that ``follows`` its prompt, does the ``opposite``, or is ``deaf``."""
    policy = fresh(inputs, "none" if kind == "head_only" else "full")
    policy.head.load_state_dict(taught)
    with torch.no_grad():
        if kind == "opposite":
            policy.head.mlp[-1].weight.neg_()
            policy.head.mlp[-1].bias.neg_()
        if kind == "deaf":  # both sides' words are the same to it
            tokenizer = inputs.checkpoint.processor().tokenizer
            left, right = tokenizer.convert_tokens_to_ids(["▁left", "▁right"])
            words = token_embeddings(policy.encoder.base_model)
            words[left] = words[right]
    return policy


def run_of(policy):
    return RunSettings(
        experiment="made", run="seed0", seed=0, windows=WINDOWS, policy=policy.settings
    )


def store(inputs, policy, folder):
    """Store a policy as training does."""
    data = trained_on(inputs.dataset, inputs.folder / "split.json", run_of(policy))
    policy.save_pretrained(folder / "policy", inputs.checkpoint, origin_of(data=data))


def stage(inputs, policy, folder, **changes):
    """Store a policy and run the stage on it, as Snakemake does."""
    store(inputs, policy, folder)
    language(
        LanguageSettings(
            **dict(run_of(policy)),
            precision="fp32",
            threads=1,
            language=Language(**{"paraphrase": "the {side} side", **changes}),
            uncertainty=UNCERTAINTY,
        ),
        inputs.of_policy(folder),
        LanguageFiles(folder / "language.json"),
        threads=1,
    )
    return LanguageResult.read(folder / "language.json")


def test_failure_04_language_that_is_ignored_is_noticed(inputs, taught, tmp_path):
    found = stage(inputs, make_policy(inputs, taught, "deaf"), tmp_path)
    assert found.verdict == "language ignored"
    assert found.sensitivity["opposite"]["overall"] == pytest.approx(0, abs=1e-6)
    assert found.mae["right"] == pytest.approx(found.mae["opposite"], abs=1e-6)
    # it does see its images, so that nothing else would have shown it
    assert found.sensitivity["constant"]["overall"] > 0


def test_a_policy_that_follows_its_prompt_is_noticed_too(inputs, taught, tmp_path):
    found = stage(inputs, make_policy(inputs, taught), tmp_path)
    assert found.verdict == "language used"
    shift = found.lateral_shift
    assert shift.dimension == "linear_y" and shift.units == 10
    assert shift.mean == pytest.approx(2.3, abs=0.4)  # 2 in units of 1.15
    assert shift.low > shift.threshold == pytest.approx(0.05 * 1.15)
    assert found.mae["opposite"]["overall"] > found.mae["right"]["overall"]
    assert found.mae_increase_under_opposite.low > 0
    mirrored = found.mae_of_opposite_against_mirrored_truth["overall"]
    assert mirrored < found.mae["opposite"]["overall"]
    assert set(found.mae) == {"right", "opposite", "constant", "paraphrase"}
    assert found.prompts["opposite"] == list(TEXTS)
    assert found.prompts["paraphrase"] == ["the left side", "the right side"]
    assert "farther left under a left prompt than under a right prompt" in str(found.why)


def test_a_policy_that_does_the_opposite_is_not_praised(inputs, taught, tmp_path):
    found = stage(inputs, make_policy(inputs, taught, "opposite"), tmp_path, paraphrase=None)
    assert found.verdict == "language reversed"
    assert "paraphrase" not in found.mae


def swap(predicted, threshold, **windows):
    """Return the result of predictions under some prompts."""
    windows = {"groups": [str(index) for index in range(len(windows["sides"]))], **windows}
    return score_prompt_swap(
        swapped_run(), predicted, SwapWindows(**windows), threshold, UNCERTAINTY
    )


def test_a_policy_that_changes_with_the_prompt_without_its_meaning_does_not_use_it():
    random = np.random.default_rng(0)
    truth = np.zeros((400, 2, 2), dtype=np.float32)
    truth[:, 0, 1] = np.tile(np.repeat([1.15, -1.15], 20), 10)  # to the instructed side
    predicted = {kind: random.normal(size=truth.shape) * 0.1 for kind in ("right", "opposite")}
    found = swap(
        predicted,
        truth=truth,
        mask=np.ones((400, 2), dtype=bool),
        episode=np.repeat(np.arange(20), 20),
        sides=["left", "right"] * 10,
        dimensions=("linear_x", "linear_y"),
        threshold=0.0575,
    )
    assert found.sensitivity["opposite"]["linear_y"] > 0.1
    assert found.verdict == "language ignored"


def test_the_shift_is_that_of_the_first_command_and_of_left_against_right():
    """Three windows an episode; in the second the first step is missing, in the third the driver
    goes to the other side: neither counts."""
    right = np.zeros((6, 2, 1))
    opposite = np.zeros((6, 2, 1))
    truth = np.zeros((6, 2, 1))
    right[0, 0], opposite[0, 0] = 0.5, -0.25  # told left, then right: 0.75 farther left
    right[3, 0], opposite[3, 0] = -0.5, -0.25  # told right, then left: 0.25
    right[:, 1] = right[2::3] = 99.0
    truth[:3], truth[3:] = 1.15, -1.15
    truth[2], truth[5] = -1.15, 1.15
    mask = np.array([[True, True], [False, False], [True, True]] * 2)
    found = swap(
        {"right": right, "opposite": opposite},
        truth=truth,
        mask=mask,
        episode=np.array([0, 0, 0, 1, 1, 1]),
        sides=["left", "right"],
        dimensions=("angular_z",),
        threshold=0.1,
    )
    assert found.lateral_shift.dimension == "angular_z"
    assert found.lateral_shift.mean == pytest.approx(0.5)
    assert found.windows == 4 and found.steps == 8
    assert found.verdict == "inconclusive" and "only 2 groups; 8" in str(found.why)


def test_both_sides_of_a_scene_are_one_value():
    shift = np.array([0.2, 0.4, 0.1, 0.7])  # of an episode each
    found = swap(
        {"right": shift[:, None, None], "opposite": np.zeros((4, 1, 1))},
        truth=np.full((4, 1, 1), 1.15),
        mask=np.ones((4, 1), dtype=bool),
        episode=np.arange(4),
        groups=["one", "one", "other", "other"],
        sides=["left"] * 4,
        dimensions=("linear_y",),
        threshold=0.1,
    )
    assert found.lateral_shift.units == 2 and found.episodes == 4
    assert found.lateral_shift.mean == pytest.approx(np.mean([0.3, 0.4]))


@pytest.mark.parametrize(
    ("dimensions", "sides", "why"),
    [
        (("linear_x",), ["left"] * 9, "no predicted dimension is lateral"),
        (("linear_y",), [None] * 9, "no scored episode has a prompt that changes"),
        (("linear_y",), ["left"] * 9, "in no scored window does the driver go"),
    ],
)
def test_where_nothing_can_be_swapped_the_reason_is_said(dimensions, sides, why):
    values = np.zeros((9, 1, 1))
    found = swap(
        {"right": values, "opposite": values},
        truth=values,
        mask=np.ones((9, 1), dtype=bool),
        episode=np.arange(9),
        sides=sides,
        dimensions=dimensions,
        threshold=0.1,
    )
    assert found.verdict == "inconclusive" and why in str(found.why)
    assert found.lateral_shift is None


def test_at_the_cut_readout_the_frames_are_read_under_each_prompt(inputs, taught, tmp_path):
    found = stage(inputs, make_policy(inputs, taught, "head_only"), tmp_path)
    assert found.verdict == "language used"


def test_a_control_step_is_timed_in_each_format(inputs, taught, tmp_path):
    policy = make_policy(inputs, taught)
    store(inputs, policy, tmp_path)
    latency(
        LatencySettings(
            **dict(run_of(policy)),
            precision="fp32",
            threads=1,
            latency=Latency(warmup_steps=1, steps=20),
        ),
        inputs.of_policy(tmp_path),
        LatencyFiles(tmp_path / "latency.json"),
        threads=1,
    )
    found = LatencyResult.read(tmp_path / "latency.json")
    formats = [one.precision for one in found.precisions]
    assert formats == list(dict.fromkeys(["fp32", resolve("auto", default_device())]))
    for one in found.precisions:
        seconds = one.seconds
        order = [seconds.min, seconds.p50, seconds.p95, seconds.p99, seconds.max]
        assert order == sorted(order) and order[0] > 0
        assert one.control_rate_hz == pytest.approx(1 / seconds.p99)
        assert one.memory_bytes > 1e6
    assert found.precisions[0].mae_change == 0
    swapped = stage(inputs, policy, tmp_path)
    assert found.precisions[0].validation_mae == pytest.approx(swapped.mae["right"]["overall"])
