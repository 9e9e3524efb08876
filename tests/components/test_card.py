"""A policy's model card: what the results say, in the report's language, as the Hub wants it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

from mobile_vla.backbone.result import BackboneDescription
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.prompt import Prompt
from mobile_vla.config.reporting import CardSettings
from mobile_vla.config.windows import Actions, Windows
from mobile_vla.errors import UserError
from mobile_vla.evaluation.result import EvaluationResult
from mobile_vla.files import sha256_of
from mobile_vla.layout import CardFiles, EvaluationFiles, RolloutFiles, TrainingFiles
from mobile_vla.model.result import PolicyDescription, PolicyMetrics, TrainedBackbone, TrainedOn
from mobile_vla.reporting.card import PROMPTS, CardInputs, card
from mobile_vla.rollout.result import RolloutResult
from mobile_vla.training.result import MixtureShare, TrainingResult
from support.results import Results, make_results
from support.training_run import origin_of

NAMES = {"experiment": "lora", "run": "seed0"}
SETTINGS = PolicySettings(
    window=4,
    chunk=10,
    finetune="lora",
    lora=Lora(r=8),
    full=None,
    head=Lstm(),
    prompt=Prompt(template="pass on the {side}"),
    actions=Actions(),
    mirror=True,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make_results(tmp_path_factory.mktemp("card"), 1)


def policy(**changes: Any) -> PolicyDescription:
    """Return the description of a policy that no run has trained."""
    origin = origin_of(
        **NAMES,
        epoch=7,
        metrics=PolicyMetrics(
            train_loss=0.1, val_loss=0.0123, val_mae={"linear_x": 0.11, "linear_y": 0.22}, clipped=0
        ),
        windows=Windows(window=4, chunk=10),
        data=TrainedOn(dataset="demo", manifest="a" * 64, split="b" * 64, fold=0, subset=None),
    )
    described = PolicyDescription(
        **dict(origin),
        format=3,
        settings=SETTINGS,
        backbone=TrainedBackbone(name="tiny", revision=None, digest="c" * 64, files={}),
        versions={},
        files={},
        prompts=["pass on the left", "왼쪽으로"],
        tokens="d" * 64,
        fixed={},
        digests={},
    )
    return described.model_copy(update=changes)


class Writer:
    """Writes a card from the results of a run, some of them exchanged."""

    def __init__(self, made: Results, folder: Path):
        self.made, self.folder = made, folder

    def __call__(
        self,
        described: PolicyDescription | None = None,
        backbone: BackboneDescription | None = None,
        driven: bool = True,
        settings: dict[str, Any] | None = None,
        **exchanged: Path,
    ) -> Path:
        results = self.made.results
        (described or policy()).write(self.folder / "policy.json")
        backbone = backbone or BackboneDescription(
            name="tiny", checkpoint=".", revision=None, files={}
        )
        backbone.write(self.folder / "backbone.json")
        training = TrainingFiles.below(results, **NAMES)
        inputs = {
            "policy": self.folder / "policy.json",
            "metrics": training.metrics,
            "results": training.results,
            "backbone": self.folder / "backbone.json",
            "evaluation": EvaluationFiles.below(results, **NAMES).evaluation,
            "rollouts": RolloutFiles.below(results, **NAMES).rollouts if driven else None,
        }
        written = CardFiles(self.folder / "README.md")
        card(
            CardSettings(**NAMES, **(settings or {})),
            CardInputs(**{**inputs, **exchanged}),
            written,
        )
        return written.card


@pytest.fixture
def write(made: Results, tmp_path: Path) -> Writer:
    return Writer(made, tmp_path)


def test_the_hub_s_library_reads_its_metadata(made: Results, write: Writer) -> None:
    path = write()
    data = ModelCard.load(path).data  # raises where the model index is invalid
    assert (data.library_name, data.pipeline_tag, data.datasets) == ("peft", "robotics", ["demo"])
    assert metadata_load(path).keys().isdisjoint({"license", "base_model"})  # nothing says them
    name, scores = model_index_to_eval_results(metadata_load(path)["model-index"])
    assert name == "lora seed0" and scores == data.eval_results
    evaluation = EvaluationResult.read(made.evaluations[0])
    success = RolloutResult.read(made.rollouts[0]).drivers["policy"].success
    assert [score.metric_value for score in scores] == [
        evaluation.mae["policy"].pooled.value,
        evaluation.mae[evaluation.best_baseline.name].pooled.value,
        *(evaluation.policy.mae[name] for name in evaluation.dimensions),
        success.rate,
    ]
    for score in scores[:-1]:
        assert score.metric_args["episodes"] == evaluation.episodes
        assert score.metric_args["windows"] == evaluation.windows
        assert score.metric_name.endswith("command units") and score.dataset_split == "test"
    assert scores[-1].metric_args == {
        "rollouts": success.trials,
        "low": success.low,
        "high": success.high,
        "confidence": success.confidence,
    }
    text = path.read_text()
    assert f"| {scores[0].metric_value:.4f} |" in text
    assert f"| {evaluation.episodes} episodes, {evaluation.windows} windows |" in text


def test_a_checkpoint_of_the_hub_is_the_base_model(write: Writer) -> None:
    hub = BackboneDescription(
        name="kosmos2", checkpoint="microsoft/kosmos-2", revision="e" * 40, files={}
    )
    assert metadata_load(write(backbone=hub))["base_model"] == "microsoft/kosmos-2"


def test_it_says_how_to_use_it_data_validation_and_limits(write: Writer) -> None:
    text = write().read_text()
    assert "It takes 4 frames of a camera" in text and "commands of the next 10 steps" in text
    assert "LoRA adapters (r = 8, alpha = 16)" in text
    assert '  - "pass on the left"\n  - "왼쪽으로"\n' in text
    assert "stored colours as RGB" in text and "1.15 is 1 in normalised units" in text
    assert "does not say what a command unit is in metres" in text
    assert re.search(r"\| training \| \d+ \| \d+ \| \d+ \|", text)
    assert "Mirror images" in text and "| 0.0123 |" in text and "epoch 7, counted from 0" in text
    assert "of the first 3 steps of a drive" in text and "emergency stop" in text
    assert "Only " not in text and "{" not in text


def test_what_differs_between_policies_is_said(
    made: Results, write: Writer, tmp_path: Path
) -> None:
    training = TrainingResult.read(made.trainings[0])
    shares = [
        MixtureShare(dataset=name, weight=1.5, episodes=4, windows=60, drawn=90)
        for name in ("demo", "autumn")
    ]
    mixed = tmp_path / "training_results.json"
    training.model_copy(update={"mixture": shares}).write(mixed)
    origin = policy()
    text = write(
        origin.model_copy(
            update={
                "settings": SETTINGS.model_copy(update={"lora": None, "finetune": "none"}),
                "prompts": [f"prompt {n}" for n in range(PROMPTS + 3)],
                "fixed": {"angular_z": 0.0},
                "images": origin.images.model_copy(update={"resize": "crop", "color": "bgr"}),
                "windows": Windows(window=4, chunk=10, start="repeat", target="current"),
                "data": origin.data.model_copy(
                    update={"subset": 20, "members": ("demo", "autumn"), "dataset": "mix"}
                ),
            }
        ),
        driven=False,
        settings={"units": {"linear_x": "0.2 m/s"}},
        results=mixed,
    ).read_text()
    assert "library_name: transformers" in text and "datasets:\n- demo\n- autumn\n" in text
    assert (
        "A head (`lstm`) was trained on the frozen backbone `tiny`" in text and "PEFT" not in text
    )
    assert f'  - "prompt {PROMPTS - 1}"\n  - 3 more, in `policy.json`\n' in text
    assert "The dataset `demo` stored colours as BGR" in text and "cut out the centre" in text
    assert "angular_z is always 0." in text and "to the step of the newest picture" in text
    assert "One unit of a command is linear_x 0.2 m/s." in text and "does not say what" not in text
    assert "Only 20 training episodes were used." in text and "| `autumn` | 1.5 | 4 | 90 |" in text
    assert "before the window is full" in text
    assert "not evaluated in closed loop" in text and "rollouts that" not in text


def test_scores_of_episodes_that_chose_the_checkpoint_say_so(write: Writer, tmp_path: Path) -> None:
    chosen = make_results(tmp_path / "val", 1, scored_on="val")
    path = write(evaluation=chosen.evaluations[0])
    scores = ModelCard.load(path).data.eval_results
    assert scores[0].metric_name.endswith("selected the checkpoint: too low")
    assert scores[0].dataset_split == "validation"
    text = path.read_text()
    assert "No verdict" in text or "no verdict" in text
    assert "neither trained nor chose it" not in text


def test_only_the_text_is_in_the_report_s_language(write: Writer) -> None:
    english, described = write().read_text(), sha256_of(write.folder / "policy.json")
    korean = write(settings={"language": "ko"}).read_text()
    assert sha256_of(write.folder / "policy.json") == described
    metadata = [text.split("---\n")[1] for text in (english, korean)]
    assert metadata[0] == metadata[1]
    body = re.sub(r"`[^`]*`|^    .*$|\"[^\"]*\"", "", korean.split("---\n")[2], flags=re.MULTILINE)
    assert "## 한계" in body
    assert re.findall(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}", body) == []


def test_the_results_of_another_run_are_refused(made: Results, write: Writer) -> None:
    with pytest.raises(UserError, match=r"policy\.json: holds the results of other/seed0"):
        write(policy(experiment="other"))
