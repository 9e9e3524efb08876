"""Timing on real files: what is measured, counted and compared, and that the ways are the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mobile_vla.config.data import ManifestSettings
from mobile_vla.config.features import ExtractSettings, FeatureKey, Features
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.ingest import Images, IngestSettings
from mobile_vla.config.model import FullFinetune, Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.split import SplitSettings
from mobile_vla.config.timing import TimeSettings, Timing
from mobile_vla.config.training import Training, TrainSettings
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.data.dataset import Dataset
from mobile_vla.data.frames import open_frames
from mobile_vla.data.manifest import manifest
from mobile_vla.data.split import split
from mobile_vla.errors import UserError
from mobile_vla.features.features import FeatureInputs, features
from mobile_vla.features.store import FrameRows
from mobile_vla.files import read_json
from mobile_vla.ingest.ingest import ingest
from mobile_vla.layout import (
    EpisodeFiles,
    FeatureFiles,
    ManifestFiles,
    SplitFiles,
    TimingFiles,
    TrainingFiles,
)
from mobile_vla.model.precision import resolve
from mobile_vla.runs.data import TrainingInputs, open_run
from mobile_vla.runs.policy import build_policy
from mobile_vla.timing.ablation import time_variants, variants_of
from mobile_vla.timing.operations import matrix_rate
from mobile_vla.timing.reference import RawRows
from mobile_vla.timing.result import TimingResult
from mobile_vla.timing.timing import timing
from mobile_vla.training.train import train
from mobile_vla.training.trainer import Trainer
from mobile_vla.training.worst_case import worst_case
from support.hdf5_layouts import write_robomimic
from support.ingested import CONFIG, ingested
from support.recorded import write_folder
from support.rewriting import rewrite
from support.tiny import make_backbone

PROMPT = Prompt(template="pass on the {side}")
FINETUNES = {
    "lora": {"lora": Lora(r=4, dropout=0.0), "full": None},
    "full": {"lora": None, "full": FullFinetune()},
    "none": {"lora": None, "full": None},
    "top": {"finetune": "lora", "lora": Lora(r=4, dropout=0.0, layers=1), "full": None},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Six recorded episodes, ingested, split, and with features at all cuts."""
    folder = tmp_path_factory.mktemp("timing")
    facts, frames = [], []
    for raw in write_folder(folder / "raw", 6, frames=8, size=(48, 64)):
        facts.append(folder / "episodes" / f"{raw.stem}.json")
        frames.append(facts[-1].with_suffix(".npy"))
        wanted = IngestSettings(dataset="made", episode=raw.stem, images=Images(color="bgr"))
        ingest(wanted, EpisodeFiles(facts[-1], frames[-1]), raw=raw)
    given = {"manifest": folder / "manifest.json", "actions": folder / "actions.npy"}
    manifest(ManifestSettings(dataset="made", on_error="fail"), ManifestFiles(**given), facts=facts)
    given["split"] = folder / "split.json"
    shares = {"train": 0.5, "val": 0.25, "test": 0.25, "stratify_by": ["side"]}
    wanted = SplitSettings.model_validate({"dataset": "made", "split": shares})
    split(wanted, SplitFiles(given["split"]), manifest=given["manifest"])
    given["backbone"] = make_backbone(folder / "backbone")
    for cut in ("image_embeds", "hidden_states", "readout"):
        prompt = None if cut == "image_embeds" else PROMPT
        layers = 1 if cut == "hidden_states" else None
        key = FeatureKey(cut=cut, precision="fp32", prompt=prompt, layers=layers)
        features(
            ExtractSettings(dataset="made", backbone="tiny", key=key, compute=Features()),
            FeatureInputs(**{name: given[name] for name in ("manifest", "actions", "backbone")}),
            FeatureFiles(folder / f"{cut}.npy", folder / f"{cut}.json"),
            threads=1,
        )
    return given


def run_of(finetune, **training):
    policy = PolicySettings(
        window=3,
        chunk=2,
        **{"finetune": finetune, **FINETUNES[finetune]},
        head=Lstm(hidden_size=8),
        prompt=PROMPT,
        actions=Actions(),
    )
    values = {"epochs": 2, "batch_size": 4, "precision": "fp32", "learning_rate": 1e-3, **training}
    return TrainSettings(
        experiment="made",
        run="seed0",
        seed=0,
        fold=0,
        subset=None,
        windows=Windows(window=3, chunk=2),
        policy=policy,
        images=Images(color="bgr"),
        training=Training(**values),
    )


def features_of(files, run):
    cut = run.policy.cut
    return [] if cut == "pixels" else [files["manifest"].with_name(f"{cut}.json")]


def inputs_of(files, run):
    return TrainingInputs(features=features_of(files, run), **files)


def data_of(files, run):
    return open_run(run, inputs_of(files, run), "fp32")


def trainer_of(files, run, data):
    torch.set_num_threads(1)
    policy = build_policy(run.policy, 0, data, cut="pixels")
    return Trainer(policy, run.training, data.samples["train"], 0, "fp32")


def variants(data, run):
    return variants_of(
        data.samples["train"],
        run.policy.cut,
        RawRows(data.dataset, Images(color="bgr"), "plain"),
        FrameRows(open_frames(data.dataset), "plain"),
        "fp32",
        torch.device("cpu"),
    )


def test_raw_images_become_the_frames_that_ingest_made(files):
    dataset = Dataset.load(files["manifest"], files["actions"])
    rows = np.array([9, 10, 8, 3, 2, 40])
    for view in ("plain", "mirrored"):
        raw = RawRows(dataset, Images(color="bgr"), view)[rows]
        assert torch.equal(raw, FrameRows(open_frames(dataset), view)[rows])


def test_raw_images_of_another_layout_become_the_same_frames(tmp_path):
    write_robomimic(tmp_path / "image.hdf5", demos=2)
    (tmp_path / "config.yaml").write_text(CONFIG.format(path=tmp_path))
    made = ingested(tmp_path)
    dataset = Dataset.load(made.manifest, made.actions)
    rows = np.array([9, 10, 8, 3])
    raw = RawRows(dataset, Images(color="rgb"), "plain", tmp_path)[rows]
    assert torch.equal(raw, FrameRows(open_frames(dataset), "plain")[rows])


def test_a_raw_file_that_is_gone_is_named(files, tmp_path):
    dataset = Dataset.load(files["manifest"], files["actions"])
    (part,) = dataset.parts
    gone = replace(dataset, parts=(replace(part, folder=tmp_path),))
    (tmp_path / "episodes").mkdir()
    name = dataset.episodes[0].name
    facts = read_json(dataset.episode_file(0, ".json"))
    moved = {**facts, "file": facts["file"].replace("/raw/", "/gone/")}
    rewrite(tmp_path / "episodes" / f"{name}.json", moved)
    with pytest.raises(UserError, match=rf"timing.ablation.*gone/{name}\.h5"):
        RawRows(gone, Images(), "plain")[np.array([0])]


@pytest.mark.parametrize("finetune", FINETUNES)
def test_all_variants_do_the_same_step(files, finetune):
    run = run_of(finetune)
    data = data_of(files, run)
    losses = {}
    for variant in variants(data, run):
        trainer = trainer_of(files, run, data)
        for module in trainer.policy.modules():
            if hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0
        trainer.samples, trainer.cut, trainer.precision = (
            variant.source,
            variant.cut,
            variant.precision,
        )
        trainer.policy.encoder.stock = variant.stock
        losses[variant.name] = trainer.step(0, trainer.epoch_steps(0)[0])[0]
    expected = ["per window", "frame cache", "feature cache", "distinct frames", "last layer"]
    if finetune == "full":
        expected.remove("feature cache")
    if finetune == "none":
        expected.remove("last layer")
    half = losses.pop("bf16", None)
    assert list(losses) == expected
    assert list(losses.values()) == pytest.approx([losses["per window"]] * len(losses), rel=1e-5)
    if half is not None:
        assert half == pytest.approx(losses["per window"], rel=0.05)


def test_an_ablation_counts_an_epoch_and_leaves_the_trainer_as_it_was(files):
    run = run_of("lora")
    data = data_of(files, run)
    trainer = trainer_of(files, run, data)
    ways = variants(data, run)
    times = time_variants(trainer, ways, rounds=2)
    assert [one.name for one in times] == [variant.name for variant in ways]
    flops = [one.flops_per_epoch for one in times]
    assert flops[0] == flops[1] > 5 * flops[2] and flops[2] > 1.2 * flops[3]
    assert times[0].speedup == times[0].flops_ratio == 1.0
    assert times[3].flops_ratio == pytest.approx(flops[0] / flops[3])
    assert all(one.seconds_per_epoch > 0 for one in times)
    assert trainer.samples is data.samples["train"] and trainer.cut is None
    assert trainer.precision == "fp32"
    assert {p.dtype for p in trainer.policy.parameters()} == {torch.float32}


def timed(files, tmp_path, finetune, ablation=False, limit=None, **training):
    run = run_of(finetune, **training)
    timing(
        TimeSettings(run=run, timing=Timing(warmup_steps=1, steps=3, ablation=ablation)),
        inputs_of(files, run),
        TimingFiles(tmp_path / "timing.json", tmp_path / "timing.html"),
        threads=1,
        memory_limit_gb=limit,
    )
    return TimingResult.read(tmp_path / "timing.json"), (tmp_path / "timing.html").read_text()


@pytest.mark.parametrize("finetune", FINETUNES)
def test_a_timing_says_what_limits_the_step(files, tmp_path, finetune):
    result, page = timed(files, tmp_path, finetune)
    for flops in (result.flops.frame, result.flops.step):
        assert flops.counted == pytest.approx(flops.formula, rel=0.05)
    assert (result.flops.frame.counted == 0) == (finetune == "none")
    share = result.achieved_rate / result.matrix_rate
    assert 0 < result.share_of_matrix_rate == pytest.approx(share)
    assert 0 <= result.data_share < 1
    assert 3 <= result.frames_per_step <= 12
    memory = result.memory
    assert memory.measured > 1e8
    assert memory.adapter == (2 * 4 * 4 * 32 * 4 if finetune in ("lora", "top") else 0)
    assert 2 * memory.estimate.total == sum(memory.estimate.model_dump().values())
    assert result.ablation == [] and "What each change saves" not in page
    assert result.device_name and result.versions["torch"]


def test_a_timing_with_an_ablation_shows_its_bars(files, tmp_path):
    result, page = timed(files, tmp_path, "lora", ablation=True)
    assert [one.name for one in result.ablation][:2] == ["per window", "frame cache"]
    assert page.count('class="bar"') == len(result.ablation)
    assert ">per window<" in page and ">+ distinct frames<" in page


def test_bf16_is_timed_in_a_process_that_timed_fp32(files, tmp_path):
    result, _ = timed(files, tmp_path, "full", precision="bf16")
    assert result.precision == "bf16"
    again, _ = timed(files, tmp_path, "full")
    assert again.precision == "fp32"


def test_what_does_not_fit_is_neither_trained_nor_timed(files, tmp_path):
    with pytest.raises(UserError, match=r"memory_limit_gb.*0\.1 GB are allowed"):
        timed(files, tmp_path, "lora", limit=0.1)
    run = run_of("lora")
    outputs = TrainingFiles.below(tmp_path, experiment="made", run="seed0")
    with pytest.raises(UserError, match=r"memory_limit_gb"):
        train(run, inputs_of(files, run), outputs, threads=1, memory_limit_gb=0.1)
    assert not list(tmp_path.iterdir())


def test_the_worst_case_is_the_largest_batch(files):
    run = run_of("lora", segment=1, batch_size=3, epochs=4)
    data = data_of(files, run)
    trainer = trainer_of(files, run, data)
    frames = [
        len(data.samples["train"].batch(indices).features)
        for epoch in range(4)
        for step in trainer.epoch_steps(epoch)
        for indices in step
    ]
    case = worst_case(run, data)
    assert case.frames == max(frames) and case.windows == 3
    assert case.tokens == int(trainer.policy.encoder.action.max()) + 1


def test_the_worst_case_is_among_the_steps_that_are_done(files):
    run = run_of("lora", segment=1, batch_size=3, accumulation=2, epochs=1)
    data = data_of(files, run)
    trainer = trainer_of(files, run, data)
    # frames of each optimiser step of six epochs
    frames = [
        max(len(data.samples["train"].batch(indices).features) for indices in step)
        for epoch in range(6)
        for step in trainer.epoch_steps(epoch)
    ]
    assert max(frames) > min(frames)
    largest = [worst_case(run, data, steps).frames for steps in range(1, len(frames) + 1)]
    assert largest == [max(frames[:steps]) for steps in range(1, len(frames) + 1)]
    assert worst_case(run, data).frames == largest[trainer.steps_per_epoch - 1]


def test_a_matrix_rate_is_that_of_the_fastest_shape():
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    rate = matrix_rate("fp32", cpu)
    assert rate > 1e8
    assert resolve("fp32", cpu) == "fp32"
    # a product that is nearly all overhead does not become the limit
    assert matrix_rate("fp32", cpu, ((1, 1, 1),)) > 0.3 * rate
