"""A policy that is loaded is the one that was trained, or what disagrees is said exactly."""

import json
import shutil
from importlib.metadata import version

import pytest

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.model import Padding, PolicySettings
from mobile_vla.errors import Problems, UserError
from mobile_vla.files import write_json
from mobile_vla.model.folder import PACKAGES, check_versions, read_description
from mobile_vla.model.policy import Policy
from mobile_vla.runs.policy import check_settings
from support.tiny import make_backbone
from support.training_run import Inputs, run
from support.training_run import settings_of as run_settings


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs.make(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    """The folder of a policy that was trained for an epoch."""
    folder = tmp_path_factory.mktemp("run")
    run(inputs, folder, run_settings(epochs=1))
    return folder / "policy"


@pytest.fixture
def policy(trained, tmp_path):
    """A copy of it, to spoil."""
    return shutil.copytree(trained, tmp_path / "policy")


@pytest.fixture
def backbone(inputs):
    return Checkpoint.read(inputs.backbone)


def described(folder):
    return json.loads((folder / "policy.json").read_text())


def edit(folder, *places, value):
    """Change an entry of ``policy.json``, as somebody with an editor does."""
    content = described(folder)
    section = content
    for place in places[:-1]:
        section = section[place]
    section[places[-1]] = value
    write_json(folder / "policy.json", content)


def load(folder, backbone):
    return Policy.from_pretrained(folder, backbone, "fp32")


def test_the_folder_says_all_that_shaped_it(trained, inputs):
    content = described(trained)
    assert set(content["versions"]) == set(PACKAGES)
    assert content["versions"]["torch"] == version("torch")
    assert content["images"]["resize"] == "squeeze" and content["images"]["size"] == 224
    assert len(content["images"]["mean"]) == 3
    assert content["windows"]["window"] == content["settings"]["window"] == 2
    assert content["prompts"] == ["pass on the left", "pass on the right"]
    assert content["threads"] == 1 and content["precision"] == "fp32"
    assert content["metrics"]["val_mae"].keys() == {"linear_x", "linear_y"}
    files = json.loads(inputs.backbone.read_text())["files"]
    assert content["backbone"]["files"] == files and content["backbone"]["revision"] is None
    suffixes = {path.suffix for path in trained.iterdir()}
    assert suffixes == {".safetensors", ".json"}, "nothing that unpickles"


def test_a_card_is_no_part_of_the_policy(policy, backbone):
    (policy / "README.md").write_text("Ours. Works best in the corridor.")
    load(policy, backbone)


@pytest.mark.parametrize(
    ("places", "value", "says"),
    [
        (("prompts",), ["왼쪽", "오른쪽"], r"\(prompts\): found \['왼쪽', '오른쪽'\]"),
        (("settings", "window"), 4, r"\(settings\.window\): found 4"),
        (("settings", "actions"), {"dimensions": ["linear_x"], "scale": 1}, r"settings\.chunk"),
        (("settings", "head"), {}, r"\(settings\.head\): found {}"),
        (("images", "resize"), "crop", r"\(images\.resize\): found 'crop'"),
        (("windows", "target"), "current", r"\(windows\.target\): found 'current'"),
        (("fixed",), {"linear_y": 0.0}, r"\(fixed\.linear_y\): added to it"),
    ],
)
def test_an_edited_description_is_refused_at_its_place(policy, backbone, places, value, says):
    edit(policy, *places, value=value)
    with pytest.raises(UserError, match=says):
        load(policy, backbone)


def test_another_chunk_than_the_trained_one_is_refused_with_both(policy, backbone):
    edit(policy, "settings", "chunk", value=5)
    with pytest.raises(UserError, match=r"found 5, but .* 6 values, 3 steps of 2 dimensions"):
        load(policy, backbone)


def test_padded_outputs_are_counted_as_they_were_trained(inputs, backbone, tmp_path):
    settings = run_settings(epochs=1)
    padded = settings.policy.model_copy(update={"padding": Padding()})
    run(inputs, tmp_path, settings.model_copy(update={"policy": padded}))
    assert load(tmp_path / "policy", backbone).settings == padded
    edit(tmp_path / "policy", "settings", "chunk", value=5)
    with pytest.raises(UserError, match=r"found 5, but .* 18 values, 3 steps of 6 dimensions"):
        load(tmp_path / "policy", backbone)


def test_a_missing_entry_is_named(policy, backbone):
    content = described(policy)
    del content["files"]
    write_json(policy / "policy.json", content)
    with pytest.raises(Problems, match=r"\(files\.head\.safetensors\): it is not there"):
        load(policy, backbone)


def test_config_and_policy_must_be_of_one_mind(trained):
    own = read_description(trained).settings
    changed = PolicySettings.model_validate({**own.model_dump(), "chunk": 5, "window": 2})
    check_settings(trained / "policy.json", own, own)
    with pytest.raises(Problems) as found:
        check_settings(trained / "policy.json", own, changed)
    (problem,) = found.value.problems
    assert problem.place.endswith("policy.json (settings.chunk)")
    assert (problem.found, problem.expected) == ("trained with 3", "5")


def test_another_backbone_is_refused_with_its_revision_and_files(policy, backbone, tmp_path):
    other = Checkpoint.read(make_backbone(tmp_path / "other", seed=1))
    changed = Checkpoint("tiny", other.source, "b" * 40, other.files)
    with pytest.raises(Problems) as found:
        load(policy, changed)
    assert f"trained on 'tiny', and 'tiny', revision {'b' * 40} here" in str(found.value)
    assert [problem.place for problem in found.value.problems] == [
        f"{other.source}/model.safetensors"
    ]


def test_the_same_bytes_are_the_same_backbone_wherever_they_come_from(policy, backbone):
    load(policy, Checkpoint("kosmos2", backbone.source, None, backbone.files))


def test_a_folder_without_a_description_is_read_whole(policy, backbone, inputs, tmp_path):
    folder = shutil.copytree(inputs.backbone.parent, tmp_path / "kosmos-2")
    (folder / "backbone.json").unlink()
    assert Checkpoint.of_folder(folder).digest == backbone.digest
    load(policy, Checkpoint.of_folder(folder))
    (folder / "added_tokens.json").write_text("{}")
    with pytest.raises(Problems, match=r"added_tokens\.json: 2 bytes(.|\n)*expected: no such file"):
        load(policy, Checkpoint.of_folder(folder))
    with pytest.raises(UserError, match="no checkpoint folder"):
        Checkpoint.of_folder(tmp_path)


def test_another_major_version_is_refused_and_a_minor_one_is_not(tmp_path):
    path, here = tmp_path / "policy.json", version("transformers")
    major, minor, *rest = here.split(".")
    check_versions(path, {"transformers": ".".join([major, str(int(minor) + 1), *rest])})
    with pytest.raises(Problems) as found:
        check_versions(path, {"transformers": f"{int(major) - 1}.57.1", "torch": version("torch")})
    (problem,) = found.value.problems
    assert problem.place == f"{path} (versions.transformers)"
    assert problem.found == f"transformers {here}"
    assert "trained with 4.57.1" in problem.expected
