"""A policy on another dataset: what is scored, by which baselines, and what is refused."""

import numpy as np
import pytest

from mobile_vla.config.evaluation import EvaluateSettings, Evaluation
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.data.dataset import Dataset
from mobile_vla.errors import Problems, UserError
from mobile_vla.evaluation.evaluate_on import evaluate_on
from mobile_vla.files import read_json
from mobile_vla.layout import OtherEvaluationFiles
from mobile_vla.runs.data import OtherDatasetInputs
from support.rewriting import rewrite
from support.synthetic_datasets import names
from support.training_run import Inputs, run, settings_of

SETTINGS = settings_of(epochs=1)
SCORED = EvaluateSettings(
    experiment="lora",
    run="seed0",
    seed=0,
    windows=SETTINGS.windows,
    policy=SETTINGS.policy,
    precision="fp32",
    threads=1,
    huber_delta=SETTINGS.training.huber_delta,
    evaluation=Evaluation(),
    uncertainty=Uncertainty(draws=1000),
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A dataset and a policy that was trained on it."""
    folder = tmp_path_factory.mktemp("own")
    inputs = Inputs.make(folder)
    run(inputs, folder / "run", SETTINGS)
    return inputs, folder / "run/policy/policy.json"


def score(own, other, folder, settings=SCORED):
    inputs, policy = own
    evaluate_on(
        settings,
        OtherDatasetInputs(
            **vars(inputs.of_policy(policy)),
            on_manifest=other.manifest,
            on_actions=other.manifest.with_name("actions.npy"),
            on_split=other.split,
            on_features=other.features,
        ),
        OtherEvaluationFiles(folder / "evaluation.json", folder / "predictions.npz"),
        threads=1,
    )
    return read_json(folder / "evaluation.json"), np.load(folder / "predictions.npz")


def test_the_test_episodes_of_the_other_dataset_are_scored(own, tmp_path):
    other = Inputs.make(tmp_path / "other", names(30)[24:])
    found, stored = score(own, other, tmp_path)
    roles = read_json(other.split)["folds"][0]["roles"]
    assert set(stored["episode"].tolist()) == set(roles["test"])
    assert found["scored_on"] == "test" and not found["selected_on_scored"]
    assert found["trained_on"]["manifest"] == read_json(own[0].manifest)["digest"]
    assert (
        found["manifest"] == read_json(other.manifest)["digest"] != found["trained_on"]["manifest"]
    )


def test_the_train_mean_is_that_of_the_policys_own_training_episodes(own, tmp_path):
    other = Inputs.make(tmp_path / "other", names(30)[24:])
    _, stored = score(own, other, tmp_path)
    data = Dataset.load(own[0].manifest, own[0].manifest.with_name("actions.npy"))
    rows = [
        data.actions[data.offsets[i] : data.offsets[i] + data.lengths[i], :2]
        for i in map(data.index, read_json(own[0].split)["folds"][0]["roles"]["train"])
    ]
    mean = np.concatenate(rows).mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(stored["baseline_train_mean"][0, 0], mean, rtol=1e-6)


def test_episodes_that_trained_or_selected_are_refused_with_both_names(own, tmp_path):
    roles = read_json(own[0].split)["folds"][0]["roles"]
    seen = {*roles["train"], *roles["val"]}
    # The same six recordings, split otherwise: which of them are tested is another choice.
    same = Inputs.make(tmp_path / "same")
    content = read_json(same.split)
    fold = content["folds"][0]["roles"]
    fold["train"], fold["test"] = fold["test"], fold["train"]
    rewrite(same.split, content)
    written_again = read_json(same.manifest)
    for number, episode in enumerate(written_again["episodes"]):
        episode["raw_sha256"] = f"{number:064}"
    for manifest in (read_json(same.manifest), written_again):
        rewrite(same.manifest, manifest)
        with pytest.raises(Problems) as error:
            score(own, same, tmp_path)
        assert len(error.value.problems) == len(seen & set(fold["test"])) > 0
        for name in seen & set(fold["test"]):
            assert f"{name} (test)" in str(error.value)
            assert f"the same episode as {name}, which is in train of made" in str(error.value)
    assert not (tmp_path / "evaluation.json").exists()


def test_prompts_that_the_policy_was_not_trained_with_are_refused(tmp_path):
    left = Inputs.make(tmp_path / "left", names(12)[::2])
    run(left, tmp_path / "run", SETTINGS)
    right = Inputs.make(tmp_path / "right", names(12)[1::2])
    with pytest.raises(Problems, match=r"(?s)it knows 'pass on the left'.*'pass on the right'"):
        score((left, tmp_path / "run/policy/policy.json"), right, tmp_path)


def test_a_policy_of_another_fold_or_subset_is_refused(own, tmp_path):
    other = Inputs.make(tmp_path / "other", names(30)[24:])
    with pytest.raises(UserError, match="another manifest, split, fold or subset"):
        score(own, other, tmp_path, SCORED.model_copy(update={"subset": 2}))
