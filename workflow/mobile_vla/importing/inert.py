"""Keys of RoboVLMs' JSON files that need no setting here: what they do there, by their code.

The code is that of github.com/Robot-VLAs/RoboVLMs (Li et al. 2024, arXiv:2412.14058) and of Mobile
VLA's fork: ``main.py``, ``train/base_trainer.py``, ``model/backbone/base_backbone.py``,
``model/policy_head/base_policy.py``, ``data/mobile_vla_h5_dataset.py``.
"""

from __future__ import annotations

from typing import Any

from mobile_vla.conventions import FRAME_SIZE
from mobile_vla.importing.account import Verdict

NO_RESAMPLER = "there is no resampler (use_vision_resampler: false)"
NOT_READ = "not read by the code"
OFF = (False, None)
SIDES = f"{FRAME_SIZE}×{FRAME_SIZE}"

_ALWAYS = {
    "what a run writes lies in results/experiments/NAME": (
        "task_name output_root log_root cache_root trainer.default_root_dir"
    ),
    "one trainer serves all": "trainer_type",
    "which checkpoint is read is said under `backbones`; give the experiment its name": (
        "model_url model_path model_config tokenizer.pretrained_model_name_or_path "
        "tokenizer.use_local_files vlm.type vlm.name vlm.pretrained_model_name_or_path"
    ),
    "printed beside the learning rate, and used for nothing else": "seq_len",
    "weight of a loss of captions, which are not predicted": "cap_loss_ratio",
    "weight of a loss of coming frames, which are not predicted": "fwd_loss_ratio",
    "frames are decoded once and read from a memory map": "num_workers",
    NOT_READ: "data_scale warmup_ratio train_setup.train_full_decoder jetson_optimized",
    "not read: the code takes AdamW, as here": "optimizer",
    "not handed to the model by the trainer": (
        "use_time_causal_attn use_mim_obs_loss use_pixel_loss use_obs_queries "
        "vision_masked_ratio use_tube_mask"
    ),
    "nothing is loaded (model_load_path)": "model_load_source",
    "read by DeepSpeed, which is not used here": "deepspeed_config",
    "overwritten by trainer.precision": "train_setup.precision",
    "read for other language models than Kosmos-2": (
        "train_setup.freeze_mm_mlp_adapter train_setup.tune_mm_mlp_adapter "
        "train_setup.mm_use_im_start_end train_setup.mm_use_im_patch_token "
        "train_setup.mm_projector_lr"
    ),
    NO_RESAMPLER: "train_setup.freeze_resampler vision_resampler",
    "not read by the code; `training.gradient_checkpointing` is there, and changes no result": (
        "train_setup.gradient_checkpointing"
    ),
    "there is one action token a frame, and nothing to thin out": "act_head.down_sample",
    "overwritten: the value at the top of the file is what counts, and is mapped": (
        "act_head.fwd_pred_next_n act_head.window_size"
    ),
    "not read by the head; policy_rnn_dropout_p is": "act_head.dropout",
    "read for discrete actions alone": "act_head.n_bin act_head.min_action act_head.max_action",
    "the backbone's processor": "tokenizer.type",
    "prompts are not cut": "tokenizer.max_text_len",
    "a GPU is used where there is one": "trainer.accelerator",
    "how processes share the work, which changes no setting": "trainer.strategy",
    "overwritten by gpus": "trainer.devices",
    "metrics.csv and TensorBoard's events are always written": "trainer.logger",
    "one process": "trainer.use_distributed_sampler",
    "losses are means over an epoch": "trainer.log_every_n_steps",
    "validation follows each epoch": "trainer.val_check_interval trainer.check_val_every_n_epoch",
    "best and last policy are always kept": "trainer.enable_checkpointing",
    "commands are scaled by the dataset's `actions.scale`, exactly and without clipping": (
        "norm_action"
    ),
    "commands are scaled by the dataset's `actions.scale` and not clipped": "norm_min norm_max",
    "not read by the code; here it stands at the top of config.yaml": "memory_limit_gb",
    "not read by the code: trainer.precision decides": "use_fp16",
    "the backbone's own processor": "train_dataset.model_name",
    "the value at the top of the file is what counts, and is mapped": (
        "train_dataset.window_size train_dataset.chunk_size"
    ),
    "act_head.action_dim is what counts, and is mapped": "train_dataset.action_dim",
    "see norm_action": "train_dataset.normalize_actions",
    "the training set": "train_dataset.is_validation",
}
"""By reason, the keys that do nothing whatever their value."""

ALWAYS = {key: why for why, keys in _ALWAYS.items() for key in keys.split()}

WITH_VALUES: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "parent": ("no parent file", (None,), "merge the parent file's settings into this one"),
    "model": ("the backbone is a Kosmos-2", ("kosmos",), "only Kosmos-2 is a backbone here"),
    "image_size": (f"frames are {SIDES}", (FRAME_SIZE,), f"frames are {SIDES} here"),
    "image_mean": (
        "the backbone's processor says the same",
        ([0.48145466, 0.4578275, 0.40821073],),
        "the backbone's processor normalises pixels",
    ),
    "image_std": (
        "the backbone's processor says the same",
        ([0.26862954, 0.26130258, 0.27577711],),
        "the backbone's processor normalises pixels",
    ),
    "use_hand_rgb": ("one camera", OFF, "there is one camera here"),
    "use_vision_resampler": ("Kosmos-2 has its own", OFF, "a resampler cannot be added here"),
    "use_clip_norm": ("switched off", OFF, "a second text encoder cannot be added here"),
    "use_state": ("switched off", OFF, "the robot's state is no input here"),
    "model_load_path": (
        "starts from the backbone",
        (None, ""),
        "a checkpoint of RoboVLMs cannot be read; `training.init_from` starts from an experiment",
    ),
    "resume": (
        "starts afresh",
        (None, ""),
        "here a run that was stopped goes on by itself when asked again",
    ),
    "gpus": ("one process", (1, None), "one process trains here; batch_size was per GPU"),
    "num_nodes": ("one machine", (1, None), "one process trains here; batch_size was per GPU"),
    "train_setup.predict_action": ("actions are predicted", (True,), "nothing else is, here"),
    "train_setup.predict_forward": ("switched off", OFF, "only actions are predicted here"),
    "train_setup.predict_forward_hand": ("switched off", OFF, "only actions, here"),
    "train_setup.predict_caption": ("switched off", OFF, "only actions are predicted here"),
    "train_setup.bits": ("no quantisation", (-1, None), "weights are not quantised here"),
    "train_setup.train_decoder_layers": (
        "all layers",
        (-1, None),
        "a part of the layers cannot be trained by itself here",
    ),
    "train_setup.reinit": ("switched off", OFF, "`weights: random` makes such a backbone"),
    "act_encoder": ("none", (None,), "past actions are no input here"),
    "act_head.latent": ("one action token a frame", (1,), "one action token a frame, here"),
    "act_head.action_space": (
        "continuous, as here",
        ("continuous",),
        "actions are continuous here",
    ),
    "act_head.with_history": ("a window is seen", (True,), "`window: 1` sees one frame"),
    "act_head.history_type": (
        "readouts are gathered after the language model, as here",
        ("post",),
        "frames are encoded one by one here",
    ),
    "fwd_head": ("none", (None,), "coming frames are not predicted here"),
    "tokenizer.tokenizer_type": ("the backbone's own", ("kosmos",), "only Kosmos-2's, here"),
    "tokenizer.additional_special_tokens": ("none", (None, []), "tokens cannot be added here"),
    "trainer.max_steps": ("epochs decide", (-1, None), "epochs decide here: set them"),
    "discrete_action": ("continuous, as here", OFF, "actions are continuous here"),
    "regular_action": ("switched off", OFF, "commands are scaled by a constant here"),
    "use_mu_law": ("switched off", OFF, "commands are scaled by a constant here"),
    "tcp_rel": ("switched off", OFF, "an arm's"),
    "train_dataset.image_size": (f"frames are {SIDES}", (FRAME_SIZE,), f"frames are {SIDES} here"),
    "train_dataset.shift_first": ("switched off", OFF, "frames are not shifted here"),
    "train_dataset.abs_action": ("switched off", OFF, "the sign of a velocity is kept here"),
    "train_dataset.discrete_action": ("switched off", OFF, "actions are continuous here"),
}
"""Keys that do nothing with one of some values: why, the values, and what cannot be said here."""

SECTIONS: dict[str, str] = {
    "vision_resampler.": NO_RESAMPLER,
    "on_device_optimization.": NOT_READ,
    "action_bounds.": NOT_READ,
    "action_descriptions.": NOT_READ,
}
"""Beginnings of keys that do nothing, whatever stands behind."""


def verdict_of(key: str, value: Any) -> tuple[Verdict, str]:
    """Return whether a key is ignored with its value, and why, or what cannot be said here."""
    if key in ALWAYS:
        return "ignored", ALWAYS[key]
    if key in WITH_VALUES:
        why, values, otherwise = WITH_VALUES[key]
        # 1 == True in Python; and -1 may stand as -1.0
        alike = (
            value == one and isinstance(value, bool) == isinstance(one, bool) for one in values
        )
        return ("ignored", why) if any(alike) else ("not mapped", otherwise)
    for start, why in SECTIONS.items():
        if key.startswith(start):
            return "ignored", why
    return "not mapped", "this importer does not know the key"
