"""The feature store: what is stored equals what a live pass gives, in every precision."""

import numpy as np
import pytest
import torch

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import AFTER_PROMPT, ExtractSettings, FeatureKey, Features
from mobile_vla.config.prompt import Prompt
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import open_frames
from mobile_vla.data.prompts import PromptTable
from mobile_vla.data.result import Manifest
from mobile_vla.errors import Problems, UserError
from mobile_vla.features import features as module
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
from support.synthetic_datasets import make_dataset, names, rewrite_manifest
from support.tiny import SIZE, make_backbone

CPU = torch.device("cpu")
PROMPT = Prompt(template="pass on the {side}")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return make_backbone(tmp_path_factory.mktemp("backbone"), text={**SIZE["text"], "layers": 2})


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    make_dataset(folder, dict(zip(names(3), (3, 5, 2), strict=True)), frames=True)
    return folder / "manifest.json"


def layers_of(cut):
    return 1 if cut == "hidden_states" else None


def run(manifest, backbone, folder, cut, precision, batch_size=4, prompt=PROMPT):
    key = FeatureKey(
        cut=cut,
        precision=precision,
        prompt=prompt if cut in AFTER_PROMPT else None,
        layers=layers_of(cut),
    )
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
    layers = layers_of(cut)
    encoder = Encoder(kosmos, processor, tokens, token, learned=False, layers=layers).eval()
    frames = torch.from_numpy(open_frames(dataset)[np.arange(dataset.rows)])
    prompts = torch.from_numpy(np.repeat(table.of_episode, dataset.lengths))
    found = []
    with torch.inference_mode(), autocast(precision, CPU):
        for episode, end in zip(dataset.offsets, dataset.offsets + dataset.lengths, strict=True):
            for start in range(episode, end, batch_size):
                rows = slice(start, min(start + batch_size, end))
                embeds = encoder.image_embeds(frames[rows])
                asked = prompts[rows]
                if cut == "hidden_states":
                    embeds = encoder.hidden_states(embeds, asked)
                found.append(encoder.language(embeds, asked) if cut == "readout" else embeds)
    return dataset, torch.cat(found)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cut", ["image_embeds", "hidden_states", "readout"])
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
    assert isinstance(rows.array, np.memmap) == (cut != "readout")
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


@pytest.fixture
def encoded(monkeypatch):
    """How many frames were encoded, a number for each batch."""
    counts, image_embeds = [], Encoder.image_embeds

    def counted(self, frames):
        counts.append(len(frames))
        return image_embeds(self, frames)

    monkeypatch.setattr(Encoder, "image_embeds", counted)
    return counts


def grown(folder, lengths):
    """Make a dataset of some episodes; return its manifest."""
    make_dataset(folder, lengths, frames=True)
    return folder / "manifest.json"


def begin_again(folder):
    """Remove the outputs, as Snakemake does before it runs the rule again."""
    for name in ("features.npy", "features.json"):
        (folder / name).unlink()


FOUR = dict(zip(names(4), (6, 5, 2, 3), strict=True))
THREE = {name: FOUR[name] for name in (names(4)[0], *names(4)[2:])}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cut", ["image_embeds", "hidden_states", "readout"])
def test_an_episode_more_costs_its_own_frames_and_gives_the_bytes_of_a_fresh_run(
    backbone, tmp_path, encoded, cut, precision
):
    run(grown(tmp_path / "three", THREE), backbone, tmp_path, cut, precision)
    begin_again(tmp_path)
    encoded.clear()
    four = grown(tmp_path / "four", FOUR)
    found = run(four, backbone, tmp_path, cut, precision)
    assert encoded == [4, 1]
    fresh = run(four, backbone, tmp_path / "fresh", cut, precision)
    assert found.read_bytes() == fresh.read_bytes()
    assert found.with_suffix(".npy").read_bytes() == fresh.with_suffix(".npy").read_bytes()


@pytest.mark.parametrize("linked", [True, False])
def test_an_episode_less_computes_nothing(backbone, tmp_path, monkeypatch, linked):
    if not linked:

        def refuse(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("os.link", refuse)
    run(grown(tmp_path / "four", FOUR), backbone, tmp_path, "readout", "fp32")
    kept = tmp_path / ".features.rows.npy"
    assert kept.samefile(tmp_path / "features.npy") == linked
    begin_again(tmp_path)
    three = grown(tmp_path / "three", THREE)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "model", None)  # which is not even loaded
        found = run(three, backbone, tmp_path, "readout", "fp32")
    fresh = run(three, backbone, tmp_path / "fresh", "readout", "fp32")
    assert found.with_suffix(".npy").read_bytes() == fresh.with_suffix(".npy").read_bytes()


def other_code(folder, monkeypatch):
    monkeypatch.setattr(module, "code_of", lambda name: ["mobile_vla.features 0123"])


def damage(folder, monkeypatch):
    begin_again(folder)  # or both names of the file would be damaged, which is found before
    with (folder / ".features.rows.npy").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"oops")


def lose(folder, monkeypatch):
    (folder / ".features.rows.npy").unlink()


def no_index(folder, monkeypatch):
    (folder / ".features.rows.json").write_text("{")


@pytest.mark.parametrize("change", [other_code, damage, lose, no_index])
def test_rows_of_other_code_or_other_bytes_are_computed_anew(
    backbone, tmp_path, encoded, monkeypatch, change
):
    manifest = grown(tmp_path / "three", THREE)
    description = run(manifest, backbone, tmp_path, "readout", "fp32")
    before = description.with_suffix(".npy").read_bytes()
    change(tmp_path, monkeypatch)
    encoded.clear()
    run(manifest, backbone, tmp_path, "readout", "fp32")
    assert sum(encoded) == sum(THREE.values())
    assert description.with_suffix(".npy").read_bytes() == before


def test_an_episode_whose_prompt_changed_is_asked_anew(backbone, tmp_path, encoded):
    manifest = grown(tmp_path / "three", THREE)
    said = Prompt(template="{instruction}")

    def instruct(*texts):
        episodes = Manifest.read(manifest).episodes
        changed = [
            one.model_copy(update={"instruction": text})
            for one, text in zip(episodes, texts, strict=True)
        ]
        rewrite_manifest(manifest, changed)
        encoded.clear()
        run(manifest, backbone, tmp_path, "readout", "fp32", prompt=said)
        return sum(encoded)

    assert instruct("go", "turn", "turn") == sum(THREE.values())
    last = list(THREE.values())[-1]
    assert instruct("go", "turn", "stop") == last
    assert instruct("go", "turn", "stop") == 0


def test_states_are_as_long_as_the_dataset_s_longest_prompt(backbone, tmp_path, encoded):
    """And rows that are copied lose or get padding, as a fresh run stores them."""
    said = Prompt(template="{instruction}")
    manifest = grown(tmp_path / "three", THREE)
    episodes = Manifest.read(manifest).episodes
    shapes, counts = [], []
    for text in ("pass on the left side", "go", "pass on the left side"):
        texts = (text, "go", "turn")
        changed = zip(episodes, texts, strict=True)
        rewrite_manifest(
            manifest, [one.model_copy(update={"instruction": asked}) for one, asked in changed]
        )
        encoded.clear()
        found = run(manifest, backbone, tmp_path, "hidden_states", "fp32", prompt=said)
        shapes.append(read_json(found)["shape"])
        counts.append(sum(encoded))
        folder = tmp_path / f"fresh{len(counts)}"
        fresh = run(manifest, backbone, folder, "hidden_states", "fp32", prompt=said)
        assert found.with_suffix(".npy").read_bytes() == fresh.with_suffix(".npy").read_bytes()
    (rows, longest, width), shorter, again = shapes
    assert shorter == [rows, longest - 4, width] and again == shapes[0]
    first = next(iter(THREE.values()))
    assert counts == [sum(THREE.values()), first, first]


def test_rows_that_cannot_be_kept_do_not_stop_the_job(backbone, tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", full)
    monkeypatch.setattr("shutil.copyfile", full)
    caplog.set_level("INFO")
    description = run(grown(tmp_path / "three", THREE), backbone, tmp_path, "readout", "fp32")
    assert description.is_file() and not list(tmp_path.glob(".features*"))
    assert "not kept for the next run" in caplog.text
