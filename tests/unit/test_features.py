"""The feature store: what is stored equals what a live pass gives, in every precision."""

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import ExtractSettings, FeatureKey, Features
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import open_frames
from mobile_vla.data.prompts import PromptTable
from mobile_vla.errors import Problems, UserError
from mobile_vla.features.features import FeatureInputs, features
from mobile_vla.features.store import open_rows
from mobile_vla.files import read_json
from mobile_vla.layout import FeatureFiles
from mobile_vla.machine import use_threads
from mobile_vla.model.encoder import (
    READOUT_TOKEN_SEED,
    Encoder,
    PromptTokens,
    initial_action_token,
)
from mobile_vla.model.precision import autocast, resolve
from support.synthetic_datasets import make_dataset, names
from support.tiny import make_backbone

CPU = torch.device("cpu")
PROMPT = Prompt(template="pass on the {side}")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return make_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    make_dataset(folder, dict(zip(names(3), (3, 5, 2), strict=True)), frames=True)
    return folder / "manifest.json"


def run(manifest, backbone, folder, cut, precision, batch_size=4):
    prompt = PROMPT if cut == "readout" else None
    key = FeatureKey(cut=cut, precision=precision, prompt=prompt)
    settings = ExtractSettings(
        dataset="demo", backbone="tiny", key=key, compute=Features(batch_size=batch_size)
    )
    inputs = FeatureInputs(
        manifest=manifest, actions=manifest.with_name("actions.npy"), backbone=backbone
    )
    outputs = FeatureFiles(folder / "features.npy", folder / "features.json")
    features(settings, inputs, outputs, threads=1)
    return folder / "features.json"


def live(manifest, backbone, cut, precision, batch_size=4):
    dataset = Dataset.load(manifest, manifest.with_name("actions.npy"))
    scenarios = [episode.scenario for episode in dataset.episodes]
    table = PromptTable.of(PROMPT, scenarios, [episode.name for episode in dataset.episodes])
    checkpoint = Checkpoint.read(backbone)
    kosmos, processor = checkpoint.model(), checkpoint.processor()
    tokens = PromptTokens.of(table.texts, processor, kosmos.config.latent_query_num)
    token = initial_action_token(kosmos, READOUT_TOKEN_SEED)
    encoder = Encoder(kosmos, processor, tokens, token, learned=False).eval()
    frames = torch.from_numpy(open_frames(dataset)[np.arange(dataset.rows)])
    prompts = torch.from_numpy(np.repeat(table.of_episode, dataset.lengths))
    found = []
    with torch.inference_mode(), autocast(precision, CPU):
        for start in range(0, dataset.rows, batch_size):
            rows = slice(start, start + batch_size)
            embeds = encoder.image_embeds(frames[rows])
            found.append(encoder.language(embeds, prompts[rows]) if cut == "readout" else embeds)
    return dataset, torch.cat(found)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cut", ["image_embeds", "readout"])
def test_stored_features_are_the_live_ones_bit_for_bit(
    manifest, backbone, tmp_path, cut, precision
):
    description = run(manifest, backbone, tmp_path, cut, precision)
    dataset, expected = live(manifest, backbone, cut, precision)
    checkpoint = Checkpoint.read(backbone)
    rows = open_rows(dataset, checkpoint.digest, precision, [description], "plain")
    order = np.array([9, 0, 4, 4])
    assert rows[order].dtype == expected.dtype
    assert torch.equal(rows[order], expected[order])
    assert isinstance(rows.array, np.memmap) == (cut == "image_embeds")
    assert read_json(description)["shape"] == list(expected.shape)


def test_the_prompt_reaches_a_readout_and_no_image_embedding(manifest, backbone, tmp_path):
    dataset, readouts = live(manifest, backbone, "readout", "fp32")
    sides = [episode.scenario["side"] for episode in dataset.episodes]
    assert len(set(sides)) == 2
    described = read_json(run(manifest, backbone, tmp_path, "image_embeds", "fp32"))
    assert described["key"]["prompt"] is None
    assert readouts.shape == (dataset.rows, 32)


def test_features_of_other_origin_are_refused(manifest, backbone, tmp_path):
    description = run(manifest, backbone, tmp_path, "image_embeds", "fp32")
    dataset, _ = live(manifest, backbone, "image_embeds", "fp32")
    digest = Checkpoint.read(backbone).digest
    with pytest.raises(UserError, match="computed for a backbone"):
        open_rows(dataset, "0" * 64, "fp32", [description], "plain")
    with pytest.raises(UserError, match=r"computed in fp32, and this machine computes in bf16"):
        open_rows(dataset, digest, "bf16", [description], "plain")
    array = description.with_suffix(".npy")
    with array.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"oops")
    with pytest.raises(UserError, match="its bytes are not those that were written"):
        open_rows(dataset, digest, "fp32", [description], "plain")


def test_auto_is_bf16_only_where_the_hardware_has_it(monkeypatch):
    for capable, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda capable=capable: capable)
        assert resolve("auto", CPU) == expected
    assert resolve("fp32", CPU) == "fp32"
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        resolve("fp16", CPU)


def test_fewer_cores_than_threads_are_refused():
    with pytest.raises(UserError, match=r"--cores 3"):
        use_threads(3, 2, "training.threads")


def test_all_episodes_that_lack_what_the_prompt_needs_are_named():
    scenarios = [{"side": "left"}, {"side": None}, {"side": None}]
    with pytest.raises(Problems) as caught:
        PromptTable.of(PROMPT, scenarios, ["a", "older_1", "older_2"])
    assert [problem.place for problem in caught.value.problems] == ["older_1", "older_2"]


def test_prompts_in_another_language_take_their_words_from_a_table():
    prompt = Prompt(template="{side}으로", words={"side": {"left": "왼쪽", "right": "오른쪽"}})
    table = PromptTable.of(prompt, [{"side": "right"}, {"side": "left"}], ["a", "b"])
    assert [table.texts[i] for i in table.of_episode] == ["오른쪽으로", "왼쪽으로"]


def test_a_character_that_the_tokenizer_does_not_know_is_refused(backbone):
    processor = Checkpoint.read(backbone).processor()
    with pytest.raises(UserError, match="does not know"):
        PromptTokens.of(("pass on the 左",), processor, 4)
