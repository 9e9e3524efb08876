"""Turn a JSON configuration of RoboVLMs or Mobile VLA into an experiment of config.yaml."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla.importing.account import VERDICTS, Account
from mobile_vla.importing.inert import ALWAYS, WITH_VALUES, verdict_of

log = logging.getLogger(__name__)

HEADS = ("LSTMDecoder", "MobileVLALSTMDecoder")
H5 = ("MobileVLAH5Dataset", "MobileVLADataset")
PRECISIONS = {
    **dict.fromkeys(("16", "16-mixed", "16-true", "fp16"), "fp16_on_gpu"),
    **dict.fromkeys(("bf16", "bf16-mixed", "bf16-true"), "bf16"),
    **dict.fromkeys(("32", "32-true", "fp32"), "fp32"),
}
HEADINGS = {
    "mapped": "Mapped:",
    "ignored": "Ignored, and why nothing is lost:",
    "not mapped": "Could not be mapped, and is to be looked at:",
}


def import_robovlms(file: Path, *, output: Path | None = None) -> None:
    """Turn a JSON file of RoboVLMs or Mobile VLA into YAML that ``include`` takes.

    Every key of the file is listed: what it was mapped to, why it was ignored, or that it could
    not be mapped. What is mapped is what the file does there, which is not always what it says.

    Args:
        file: the JSON file.
        output: where to write the YAML; without it, it is printed.

    Raises:
        UserError: the file cannot be read or is no such configuration.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{file}: not JSON: {error}; expected a configuration file") from None
    if not isinstance(config, dict) or not {"window_size", "act_head", "trainer"} <= set(config):
        raise UserError(
            f"{file}: found no window_size, act_head and trainer at its top; expected a "
            "configuration of RoboVLMs or Mobile VLA, as main.py takes it"
        )
    account = Account(config)
    text = _text(file, account, convert(account, file.stem))
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)
        sys.stdout.write("\n".join(_listing(account)) + "\n")
    found = [entry.verdict for entry in account.entries()]
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in VERDICTS)
    log.info("%s: %d keys: %s", file, len(found), counts)


def convert(account: Account, stem: str) -> dict[str, Any]:
    """Return the sections of the YAML, and account for every key.

    Args:
        account: the configuration.
        stem: name of its file, for an experiment without a name.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", str(account.get("exp_name") or stem)).lstrip("_.-")
    account.mapped("exp_name", f"the experiment's name: {name}")
    experiment: dict[str, Any] = {}
    datasets = _dataset(account, name)
    if datasets:
        experiment["dataset"] = name
    _plain(account, experiment, "seed", "seeds", lambda value: [value])
    _plain(account, experiment, "window_size", "window")
    _plain(account, experiment, "fwd_pred_next_n", "chunk")
    # what the code does and no key says
    experiment |= {"stride": 1, "target": "next", "start": "whole", "tail": "drop"}
    _finetune(account, experiment)
    _head(account, experiment)
    mirror = bool(account.get("train_dataset.augment", False))
    experiment["augment"] = {"mirror": mirror, "brightness": 0, "contrast": 0, "saturation": 0}
    account.mapped("train_dataset.augment", f"augment.mirror: {str(mirror).lower()}")
    experiment["training"] = _training(account)
    _rest(account)
    return {**({"datasets": datasets} if datasets else {}), "experiments": {name: experiment}}


def _plain(
    account: Account, settings: dict[str, Any], key: str, name: str, turn: Any = lambda value: value
) -> None:
    """Map one key to one setting, if it is there."""
    if account.get(key) is not None:
        settings[name.rpartition(".")[2]] = turn(account.get(key))
        account.mapped(key, f"{name}: {_short(turn(account.get(key)))}")


def _dataset(account: Account, name: str) -> dict[str, Any]:
    """Return the section ``datasets``, for episodes in the collector's HDF5 format."""
    kind, folder = account.get("train_dataset.type"), account.get("train_dataset.data_dir")
    if kind not in H5 or not isinstance(folder, str):
        why = "not in the collector's HDF5 format; give the experiment a `dataset`"
        for key in account.left():
            known = key in ALWAYS or key in WITH_VALUES
            if key.startswith(("train_dataset.", "val_dataset.")) and not known:
                account.not_mapped(key, why)
        return {}
    found: dict[str, Any] = {"kind": "recorded", "path": folder}
    account.mapped("train_dataset.type", f"datasets.{name}.kind: recorded")
    account.mapped("train_dataset.data_dir", f"datasets.{name}.path")
    pattern = account.get("train_dataset.episode_pattern")
    if pattern is not None:
        found["pattern"] = pattern
        account.mapped("train_dataset.episode_pattern", f"datasets.{name}.pattern")
    share = account.get("train_dataset.train_split")
    if share is not None:
        found["split"] = {"train": share, "val": round(1 - share, 6), "test": 0}
        split = f"datasets.{name}.split, which is stratified and not chronological as there"
        account.mapped("train_dataset.train_split", split)
    account.ignored("train_dataset.rgb_pad", "kept by the dataset's class, and not used")
    for key in account.left():
        if key.startswith("val_dataset."):
            twin = "train_dataset." + key.removeprefix("val_dataset.")
            alike = twin not in account.values or account.get(twin) == account.get(key)
            if alike or key.endswith(("is_validation", "split")):
                why = "the split of the training dataset's folder says who validates"
                account.ignored(key, why)
            else:
                why = "validation episodes come from the same dataset, by its split"
                account.not_mapped(key, why)
    return {name: found}


def _finetune(account: Account, experiment: dict[str, Any]) -> None:
    """Map what is trained of the backbone."""
    switches = ("freeze_backbone", "lora_enable", "train_vision", "train_text_embedding")
    frozen, lora, vision, words = (
        bool(account.get(f"train_setup.{name}", False)) for name in switches
    )
    parts = {"vision": vision, "projection": not frozen, "text": not frozen}
    mixed = lora and (not frozen or vision or words)
    kind = "lora" if lora else "none" if frozen and not (vision or words) else "full"
    if kind == "full":
        experiment["full"] = {**parts, "text_embedding": words}
    experiment["finetune"] = kind
    for name in switches:
        if mixed:
            why = "an adapter and parts of the model cannot be trained together here"
            account.not_mapped(f"train_setup.{name}", why)
        else:
            more = ", and `full`" if kind == "full" else ""
            account.mapped(f"train_setup.{name}", f"finetune: {kind}{more}")
    adapter: dict[str, Any] = {}
    for name in ("r", "alpha", "dropout", "bias"):
        if lora:
            _plain(account, adapter, f"train_setup.lora_{name}", f"lora.{name}")
        else:
            account.ignored(f"train_setup.lora_{name}", "lora_enable: false")
    if lora:
        # RoboVLMs' own filter of names finds every linear layer, the vision tower's too
        adapter["targets"] = ["q_proj", "k_proj", "v_proj", "out_proj"]
        experiment["lora"] = adapter


def _head(account: Account, experiment: dict[str, Any]) -> None:
    """Map the head and its padding."""
    # LSTMDecoder's own: no key says them
    head: dict[str, Any] = {"layers": 4, "hidden_size": 1024, "mlp": [1024, 512, 256]}
    head |= {"activation": "relu", "output": "tanh", "dropout": 0}
    kind = account.get("act_head.type")
    if kind in HEADS:
        account.mapped("act_head.type", "head: its MLP, activation and output")
    else:
        account.not_mapped("act_head.type", f"read as {HEADS[0]}; docs/heads.md has others")
    _plain(account, head, "act_head.hidden_size", "head.hidden_size")
    _plain(account, head, "act_head.num_layers", "head.layers")
    dropout = account.get("act_head.policy_rnn_dropout_p")
    if dropout:
        head["dropout"] = dropout
    account.mapped("act_head.policy_rnn_dropout_p", f"head.dropout: {dropout}, in the MLP too")
    experiment["head"] = head
    size, ratio = account.get("act_head.action_dim"), account.get("arm_gripper_loss_ratio", 0.01)
    if kind == "MobileVLALSTMDecoder" or not isinstance(size, int) or size <= 2:
        experiment["padding"] = None
        account.mapped("act_head.action_dim", "padding: null, the dataset's velocities alone")
        account.ignored("arm_gripper_loss_ratio", "without padding there is no gripper")
        if isinstance(size, int) and size > 2:
            account.not_mapped("act_head.action_dim", "the dataset's `actions.dimensions` say it")
        return
    experiment["padding"] = {"action_dim": size, "gripper_loss_ratio": ratio}
    account.mapped("act_head.action_dim", f"padding.action_dim: {size}")
    account.mapped("arm_gripper_loss_ratio", f"padding.gripper_loss_ratio: {ratio}")


def _training(account: Account) -> dict[str, Any]:
    """Map how it is trained."""
    found: dict[str, Any] = {}
    _plain(account, found, "trainer.max_epochs", "training.epochs")
    _plain(account, found, "batch_size", "training.batch_size")
    _plain(account, found, "trainer.accumulate_grad_batches", "training.accumulation")
    found["segment"] = 1
    _plain(account, found, "learning_rate", "training.learning_rate")
    _plain(account, found, "weight_decay", "training.weight_decay")
    found |= _schedule(account)
    # The code reads the clipping's norm at the top of the file, where 0 means none.
    found["clip"] = account.get("gradient_clip_val") or None
    account.mapped("gradient_clip_val", f"training.clip: {_short(found['clip'])}")
    account.ignored(
        "trainer.gradient_clip_val",
        "read at the top of the file and not here, so that nothing is clipped; "
        f"`clip: {account.get('trainer.gradient_clip_val')}` would",
    )
    found["huber_delta"] = 1
    precision = account.get("trainer.precision")
    if str(precision) in PRECISIONS:
        found["precision"] = PRECISIONS[str(precision)]
        account.mapped("trainer.precision", f"training.precision: {found['precision']}")
    else:
        account.not_mapped("trainer.precision", f"expected one of {', '.join(PRECISIONS)}")
    return found


def _schedule(account: Account) -> dict[str, Any]:
    """Map the learning rate's schedule; RoboVLMs' is constant unless it is told otherwise."""
    kind = account.get("scheduler", "constant")
    schedule = "constant" if kind == "constant" else "cosine"
    if kind in ("constant", "cosine"):
        account.mapped("scheduler", f"training.schedule: {schedule}")
        account.ignored("min_lr_scale", "read by the schedule half-cosine, which is not chosen")
    elif kind == "half-cosine":
        account.mapped("scheduler", "training.schedule: cosine")
        account.not_mapped("min_lr_scale", "a cosine ends at 0 here")
    else:
        account.not_mapped("scheduler", "expected constant, cosine or half-cosine")
        account.not_mapped("min_lr_scale", "the schedule is not known")
    epochs, warmup = account.get("trainer.max_epochs"), account.get("warmup_epochs") or 0
    share = round(warmup / epochs, 6) if epochs else 0
    account.mapped("warmup_epochs", f"training.warmup: {share:g}, a share of all steps")
    if account.get("warmup_steps"):
        account.not_mapped("warmup_steps", "a warm-up is a share of all steps here: raise it")
    else:
        account.ignored("warmup_steps", "none")
    return {"schedule": schedule, "warmup": share}


def _rest(account: Account) -> None:
    """Account for the keys that are no settings here."""
    name = account.get("robovlm_name")
    if "kosmos" in str(name).lower():
        account.ignored("robovlm_name", "the backbone is a Kosmos-2")
    else:
        account.not_mapped("robovlm_name", "only Kosmos-2 is a backbone here")
    for key in account.left():
        account.note(key, *verdict_of(key, account.get(key)))


def _listing(account: Account) -> Iterator[str]:
    """Yield the account as lines."""
    for verdict in VERDICTS:
        entries = [entry for entry in account.entries() if entry.verdict == verdict]
        if entries:
            yield HEADINGS[verdict]
            arrow = " → " if verdict == "mapped" else ": "
            yield from (f"  {one.key} ({_short(one.value)}){arrow}{one.text}" for one in entries)


def _text(file: Path, account: Account, sections: dict[str, Any]) -> str:
    """Return the YAML, with the account as a comment before it."""
    head = [
        f"From {file.name}, by `python -m mobile_vla import-robovlms`.",
        "Backbone, prompt and threads are yours; a chunk follows its window here: docs/presets.md.",
        "",
        *_listing(account),
    ]
    comments = "".join(f"# {line}".rstrip() + "\n" for line in head)
    return comments + yaml.safe_dump(
        sections, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
    )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
