"""Mirror images and changed pictures: exact, drawn once per window, and in training alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from mobile_vla.config.features import FeatureKey
from mobile_vla.config.model import FullFinetune, Photometric
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import open_frames
from mobile_vla.data.mirror import EXCHANGED, SIGNS, mirrored_frames, mirrored_values
from mobile_vla.errors import UserError
from mobile_vla.runs.data import open_run
from mobile_vla.runs.labels import Labels
from mobile_vla.runs.policy import build_policy
from mobile_vla.runs.samples import change, draw_factors
from mobile_vla.training.trainer import Trainer
from support.synthetic_datasets import make_dataset, names
from support.training_run import Inputs, settings_of

STRONG = Photometric(brightness=0.5, contrast=0.5, saturation=0.5)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


def at_pixels(**changes):
    """Settings of a run that trains the vision tower, and so reads frames."""
    run = settings_of()
    policy = run.policy.model_copy(
        update={"finetune": "full", "lora": None, "full": FullFinetune(), **changes}
    )
    return run.model_copy(update={"policy": policy})


def load(inputs, run, features=(), mirrored=(), photometric=None):
    files = inputs.of_run(features=list(features), mirrored=list(mirrored))
    return open_run(run, files, "fp32", photometric)


texts = st.text(alphabet="leftrigh LEFTRIGH왼오른쪽,.", max_size=40)


@given(st.sampled_from(["left", "right", None]), st.none() | texts)
def test_the_mirror_image_of_the_mirror_image_is_the_episode(side, instruction):
    values = {"side": side, "distance": "far", "instruction": instruction}
    twice = mirrored_values(mirrored_values(values))
    assert twice["side"] == side and twice["distance"] == "far"
    assert (twice["instruction"] or "").lower() == (instruction or "").lower()


def test_left_and_right_are_exchanged_as_words_in_both_languages():
    values = {"side": "left", "instruction": "Pass LEFT of the box, then right; 왼쪽 upright"}
    found = mirrored_values(values)
    assert found["side"] == "right"
    assert found["instruction"] == "Pass RIGHT of the box, then left; 오른쪽 upright"
    assert all(EXCHANGED[EXCHANGED[word]] == word for word in EXCHANGED)


def test_training_sees_each_window_and_its_mirror_image_and_the_others_do_not(inputs):
    plain, both = load(inputs, at_pixels()), load(inputs, at_pixels(mirror=True))
    for role in ("val", "test"):
        assert len(both.samples[role]) == len(plain.samples[role])
        assert not both.samples[role].table.mirrored.any()
    count = len(plain.samples["train"])
    samples = both.samples["train"]
    assert len(samples) == 2 * count
    indices = np.arange(count)
    recorded, reflected = samples.batch(indices), samples.batch(indices + count)
    # pictures flipped, x kept, y negated, the other side's prompt
    assert torch.equal(
        reflected.features[reflected.windows], recorded.features[recorded.windows].flip(-2)
    )
    assert torch.equal(reflected.targets, recorded.targets * torch.tensor([1.0, -1.0]))
    assert torch.equal(reflected.mask, recorded.mask)
    sides = [
        [both.prompts.texts[i] for i in batch.prompts[batch.windows][:, 0]]
        for batch in (recorded, reflected)
    ]
    assert [mirrored_values({"instruction": text})["instruction"] for text in sides[0]] == sides[1]
    assert set(sides[0]) <= {"pass on the left", "pass on the right"}


def test_a_batch_of_recorded_windows_and_mirror_images_finds_the_frames_of_each(inputs):
    samples = load(inputs, at_pixels(mirror=True)).samples["train"]
    frames = open_frames(samples.dataset)
    rows = samples.dataset.rows
    chosen = np.array([len(samples) - 1, 0, len(samples) // 2, 1])
    batch = samples.batch(chosen)
    for index, window in zip(chosen, batch.windows, strict=True):
        own = samples.table.frames[index]
        expected = frames[own % rows]
        if samples.table.mirrored[index]:
            expected = mirrored_frames(expected)
        assert np.array_equal(batch.features[window].numpy(), expected)


@pytest.mark.parametrize("cut", ["image_embeds", "readout"])
def test_stored_features_of_the_mirror_image_are_those_of_flipped_frames(inputs, tmp_path, cut):
    prompt = Prompt(template="pass on the {side}")
    key = FeatureKey(
        cut=cut, view="mirrored", precision="fp32", prompt=prompt if cut == "readout" else None
    )
    inputs.store(key, tmp_path / "mirrored.json")
    dataset = Dataset.load(inputs.manifest, inputs.manifest.with_name("actions.npy"))
    rows = np.arange(dataset.lengths[0])  # of the first episode, which passes on the left
    flipped = torch.from_numpy(mirrored_frames(open_frames(dataset)[rows]))
    run = settings_of()
    policy = build_policy(
        run.policy.model_copy(update={"finetune": "none", "lora": None}),
        0,
        load(inputs, at_pixels()),
        cut="pixels",
    ).eval()
    with torch.inference_mode():
        expected = policy.encoder.image_embeds(flipped)
        if cut == "readout":
            right = policy.texts.index("pass on the right")
            expected = policy.encoder.language(expected, torch.full((len(rows),), right))
    stored = np.load(tmp_path / "mirrored.npy")[rows]
    np.testing.assert_allclose(stored, expected.numpy(), rtol=1e-4, atol=1e-5)
    plain = {"features": inputs.features, "mirrored": inputs.features}
    with pytest.raises(UserError, match="view"):  # recorded features are no mirror images
        lora = run.model_copy(update={"policy": run.policy.model_copy(update={"mirror": True})})
        load(inputs, lora, **plain)


def test_a_prompt_without_a_side_cannot_tell_a_mirror_image(tmp_path):
    dataset = make_dataset(tmp_path, {names(1)[0]: 9})
    policy = at_pixels(mirror=True, prompt=Prompt(template="go")).policy
    with pytest.raises(UserError, match=r"\{side\}"):
        Labels.of(dataset, policy)


def test_negated_zeros_stay_zeros(tmp_path):
    dataset = make_dataset(tmp_path, {names(1)[0]: 9})
    labels = Labels.of(dataset, at_pixels(mirror=True).policy)
    assert not np.signbit(labels.actions[labels.actions == 0]).any()
    assert SIGNS.tolist() == [1, -1, -1]


def test_failure_18_a_window_is_changed_as_a_whole_and_not_frame_by_frame():
    frame = torch.randint(0, 256, (1, 1, 224, 224, 3), dtype=torch.uint8)
    windows = frame.expand(3, 4, 224, 224, 3)  # three windows of four equal frames
    factors = draw_factors(STRONG, (0, 7), np.array([5, 6, 5]))
    changed = change(windows, factors)
    for window in changed:
        assert all(torch.equal(window[0], other) for other in window)
    assert torch.equal(changed[0], changed[2])  # the same window at the same step
    assert not torch.equal(changed[0], changed[1])  # another window
    later = change(windows, draw_factors(STRONG, (0, 8), np.array([5, 6, 5])))
    assert not torch.equal(changed[0], later[0])  # another step


def test_the_changes_are_the_usual_ones():
    random = np.random.default_rng(0)
    picture = random.integers(40, 200, (224, 224, 3), dtype=np.uint8)
    window = torch.from_numpy(picture)[None, None]
    for place, enhancer in enumerate(
        (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    ):
        factors = torch.ones(1, 3)
        factors[0, place] = 1.3
        found = change(window, factors)[0, 0].numpy().astype(int)
        expected = np.asarray(enhancer(Image.fromarray(picture)).enhance(1.3)).astype(int)
        assert np.abs(found - expected).max() <= 2  # Pillow rounds the grey picture first
        assert np.abs(found - picture).mean() > 3


def test_no_strength_is_no_change():
    window = torch.randint(0, 256, (1, 2, 224, 224, 3), dtype=torch.uint8)
    factors = draw_factors(Photometric(), (0, 0), np.array([0]))
    assert factors.tolist() == [[1, 1, 1]]
    assert torch.equal(change(window, factors), window)


def test_a_training_step_sees_changed_pictures_and_validation_does_not(inputs):
    run = at_pixels()
    data = load(inputs, run, photometric=STRONG)
    samples, indices = data.samples["train"], np.array([0, 1])
    recorded = samples.batch(indices)
    changed = samples.batch(indices, (0, 0))
    assert len(changed.features) == changed.windows.numel()  # no window shares its pictures
    assert not torch.equal(changed.features[changed.windows], recorded.features[recorded.windows])
    assert torch.equal(changed.targets, recorded.targets)
    for _, batch in samples.in_order(2):
        rows = samples.table.frames[:2]
        assert torch.equal(
            batch.features[batch.windows],
            torch.from_numpy(open_frames(data.dataset)[rows.ravel()]).view(
                *rows.shape, 224, 224, 3
            ),
        )
        break
    trainer = Trainer(build_policy(run.policy, 0, data), run.training, samples, 0, "fp32")
    loss = trainer.step(0, [indices]).loss
    assert np.isfinite(loss)
