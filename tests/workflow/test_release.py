"""A model card of a real run, and with `release` a copy of the policy with its licence."""

import re
import shutil
from pathlib import Path

import peft
import pytest
import torch
import transformers
from huggingface_hub import ModelCard
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


def test_a_released_folder_is_the_policy_with_licence_and_base_model(policy, released):
    names = {file.name for file in released.iterdir()}
    assert names == {file.name for file in policy.iterdir()}
    for name in names - {"README.md"}:
        assert (released / name).read_bytes() == (policy / name).read_bytes()
    card = ModelCard.load(released / "README.md")  # raises where the model index is invalid
    before = ModelCard.load(policy / "README.md")
    assert (card.data.license, card.data.base_model) == ("apache-2.0", "microsoft/kosmos-2")
    assert (before.data.license, before.data.base_model) == (None, None)
    assert card.data.eval_results == before.data.eval_results and card.text == before.text
    assert len(card.data.eval_results) == 5  # of the run, which was driven, too


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


def test_a_card_that_is_not_the_policy_s_is_refused(policy, tmp_path):
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


def test_a_damaged_policy_is_refused(policy, tmp_path):
    run = shutil.copytree(RUN, tmp_path / RUN)
    head = run / "policy/head.safetensors"
    content = bytearray(head.read_bytes())
    content[-1] ^= 1
    head.write_bytes(content)
    with pytest.raises(UserError, match=r"head\.safetensors: its bytes are not those"):
        release(run / "policy", tmp_path / "mine", license="mit")
    head.unlink()
    with pytest.raises(UserError, match=r"head\.safetensors: not there; copy the policy"):
        release(run / "policy", tmp_path / "mine", license="mit")
    assert not (tmp_path / "mine").exists()


def test_an_edited_card_keeps_its_words_and_needs_its_metadata(policy, tmp_path):
    run = shutil.copytree(RUN, tmp_path / RUN)
    card = run / "policy/README.md"
    card.write_text(card.read_text() + "\nWorks best in the corridor.\n")
    release(run / "policy", tmp_path / "mine", license="mit")
    assert "Works best in the corridor." in (tmp_path / "mine/README.md").read_text()
    card.write_text("Ours.\n")
    with pytest.raises(UserError, match="no metadata with scores"):
        release(run / "policy", tmp_path / "none", license="mit")
