"""A model card: what training knows, and with `release` the scores, as the Hub wants them."""

import json
import re
import shutil
from pathlib import Path

import peft
import pytest
import torch
import transformers
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from safetensors.torch import load_file

from mobile_vla.errors import UserError
from mobile_vla.releasing.release import release

RUN = Path("results/experiments/lora/seed0")


@pytest.fixture
def policy(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    return RUN / "policy"


@pytest.fixture
def released(policy, tmp_path):
    release(policy, tmp_path / "mine", license="apache-2.0", base_model="microsoft/kosmos-2")
    return tmp_path / "mine"


def test_training_writes_what_it_knows(policy):
    data = metadata_load(policy / "README.md")
    assert data["library_name"] == "peft" and data["pipeline_tag"] == "robotics"
    assert data["datasets"] == ["demo"]
    assert data.keys().isdisjoint({"license", "model-index", "base_model"})  # it cannot know them


def test_a_released_card_holds_metadata_that_the_hub_s_library_accepts(released):
    data = ModelCard.load(released / "README.md").data  # raises where the model index is invalid
    assert (data.license, data.base_model) == ("apache-2.0", "microsoft/kosmos-2")
    assert (data.library_name, data.pipeline_tag, data.datasets) == ("peft", "robotics", ["demo"])
    name, scores = model_index_to_eval_results(metadata_load(released / "README.md")["model-index"])
    assert name == "lora seed0" and scores == data.eval_results


def test_scores_are_those_of_the_results_with_what_they_are_counted_over(policy, released):
    evaluation = json.loads((RUN / "evaluation.json").read_text())
    rollouts = json.loads((RUN / "rollouts.json").read_text())
    scores = ModelCard.load(released / "README.md").data.eval_results
    assert [score.metric_value for score in scores] == [
        evaluation["mae"]["policy"]["pooled"]["value"],
        evaluation["mae"][evaluation["best_baseline"]["name"]]["pooled"]["value"],
        evaluation["policy"]["mae"]["linear_x"],
        evaluation["policy"]["mae"]["linear_y"],
        rollouts["drivers"]["policy"]["success"]["rate"],
    ]
    for score in scores[:4]:
        assert score.metric_args["episodes"] == evaluation["episodes"]
        assert score.metric_args["windows"] == evaluation["windows"]
        assert "command units" in score.metric_name and score.dataset_split == "test"
    assert scores[4].metric_args["rollouts"] == rollouts["drivers"]["policy"]["success"]["trials"]
    text = (released / "README.md").read_text()
    assert f"| {scores[0].metric_value:.4f} | {evaluation['episodes']} episodes," in text


def test_a_released_folder_is_the_policy(policy, released):
    names = {file.name for file in released.iterdir()}
    assert names == {file.name for file in policy.iterdir()}
    for name in names - {"README.md"}:
        assert (released / name).read_bytes() == (policy / name).read_bytes()


def test_the_card_says_in_a_line_how_peft_loads_the_adapters(policy):
    """`AutoPeftModel` does not know the class of a model without a task."""
    card = (policy / "README.md").read_text()
    line = re.search(r"^    (PeftModel\.from_pretrained.*)$", card, re.MULTILINE)[1]
    given = {"BACKBONE": "results/backbones/tiny", "THIS_FOLDER": str(policy)}
    names = {"PeftModel": peft.PeftModel, "Kosmos2Model": transformers.Kosmos2Model}
    model = eval(line, {**given, **names})
    adapters = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    stored = load_file(policy / "adapter_model.safetensors")
    assert adapters.keys() == stored.keys()
    assert all(torch.equal(adapters[name], stored[name]) for name in stored)


def test_scores_of_another_policy_are_refused(policy, tmp_path):
    again = shutil.copytree(RUN, tmp_path / RUN) / "policy"
    (again / "policy.json").write_text((again / "policy.json").read_text() + "\n")
    with pytest.raises(UserError, match="scores of another policy"):
        release(again, tmp_path / "mine", license="mit")
    elsewhere = shutil.copytree(policy, tmp_path / "elsewhere/policy")
    with pytest.raises(UserError, match="scores are unknown"):
        release(elsewhere, tmp_path / "mine", license="mit")
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="it is there already"):
        release(policy, tmp_path / "there", license="mit")
    assert not (tmp_path / "mine").exists()
