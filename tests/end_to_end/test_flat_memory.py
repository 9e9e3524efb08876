"""The evaluation of a thousand episodes takes no more memory than that of a hundred."""

import multiprocessing
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from mobile_vla.config.evaluation import EvaluateSettings, Evaluation
from mobile_vla.config.split import Holdout, SplitSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.data.split import split
from mobile_vla.evaluation.evaluate import evaluate
from mobile_vla.files import read_json
from mobile_vla.layout import EvaluationFiles, SplitFiles
from mobile_vla.result import FileDigest
from support.rewriting import rewrite
from support.synthetic_datasets import make_dataset, names
from support.training_run import Inputs, run, settings_of

pytestmark = pytest.mark.long

FRAMES = 18
MORE = 150  # MB that nine hundred further episodes may take; their frames alone would be 2,400


def make(folder: Path, count: int) -> Inputs:
    """Write episodes, nearly all of them to be scored, with made-up features and a policy."""
    data = folder / "dataset"
    dataset = make_dataset(data, dict.fromkeys(names(count), FRAMES))
    small = Inputs.make(folder / "small")
    inputs = Inputs(
        manifest=data / "manifest.json",
        split=data / "split.json",
        backbone=small.backbone,
        features=[folder / "features.json"],
    )
    shares = Holdout(train=0.05, val=0.05, test=0.9, stratify_by=("side",))
    split(
        SplitSettings(dataset="made", split=shares),
        SplitFiles(inputs.split),
        manifest=inputs.manifest,
    )
    (description,), (features,) = small.features, inputs.features
    like = read_json(description)
    array = features.with_suffix(".npy")
    rng = np.random.default_rng(0)
    np.save(array, rng.normal(size=(dataset.rows, *like["shape"][1:])).astype(np.float32))
    shape = [dataset.rows, *like["shape"][1:]]
    rewrite(
        features,
        {**like, **FileDigest.of(array).model_dump(), "shape": shape, "manifest": dataset.digest},
    )
    run(inputs, folder / "run", settings_of(epochs=1))
    return inputs


def score(inputs: Inputs, folder: Path) -> None:
    torch.set_num_threads(1)
    settings = settings_of()
    evaluate(
        EvaluateSettings(
            experiment="lora",
            run="seed0",
            seed=0,
            windows=settings.windows,
            policy=settings.policy,
            precision="fp32",
            threads=1,
            huber_delta=1.0,
            evaluation=Evaluation(),
            uncertainty=Uncertainty(),
        ),
        inputs.of_policy(folder / "run/policy/policy.json"),
        EvaluationFiles(folder / "evaluation.json", folder / "predictions.npz"),
        threads=1,
    )
    (folder / "peak").write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def test_ten_times_the_episodes_take_hardly_more_memory(tmp_path):
    peaks = {}
    for count in (100, 1000):
        folder = tmp_path / str(count)
        inputs = make(folder, count)
        # Afresh, so that nothing of this process is counted.
        child = multiprocessing.get_context("spawn").Process(target=score, args=(inputs, folder))
        child.start()
        child.join(timeout=600)
        assert child.exitcode == 0
        assert read_json(folder / "evaluation.json")["episodes"] == pytest.approx(
            0.9 * count, abs=4
        )
        peaks[count] = float((folder / "peak").read_text())

    assert peaks[1000] - peaks[100] < MORE
