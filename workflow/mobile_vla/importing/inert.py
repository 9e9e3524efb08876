"""Keys of RoboVLMs' JSON files that need no setting here: what they do there, by their code.

The code is that of github.com/Robot-VLAs/RoboVLMs (Li et al. 2024, arXiv:2412.14058) and of Mobile
VLA's fork: ``main.py``, ``train/base_trainer.py``, ``model/backbone/base_backbone.py``,
``model/policy_head/base_policy.py``, ``data/mobile_vla_h5_dataset.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mobile_vla.conventions import FRAME_SIZE

ANY = object()
"""Whatever the value."""


@dataclass(frozen=True)
class Inert:
    """A key that does nothing as long as it has one of some values.

    Args:
        why: why nothing is lost.
        values: the values for which that holds; ``ANY`` alone for all.
        else_: what cannot be said here, with another value.
    """

    why: str
    values: tuple[Any, ...] = (ANY,)
    else_: str = ""

    def holds(self, value: Any) -> bool:
        """Whether the key does nothing with a value."""
        # 1 == True in Python; and -1 may stand as -1.0
        return ANY in self.values or any(
            value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.values
        )


OFF = (False, None)
SIDES = f"{FRAME_SIZE}×{FRAME_SIZE}"
FOLDERS = "what a run writes lies in results/experiments/NAME"
CHECKPOINT = "which checkpoint is read is said under `backbones`; give the experiment its name"
OTHER_MODELS = "read for other language models than Kosmos-2"
NOT_HANDED_ON = "not handed to the model by the trainer"
NOT_READ = "not read by the code"
AT_THE_TOP = "the value at the top of the file is what counts, and is mapped"
NO_RESAMPLER = "there is no resampler (use_vision_resampler: false)"

INERT: dict[str, Inert] = {
    "parent": Inert("no parent file", (None,), "merge the parent file's settings into this one"),
    "task_name": Inert(FOLDERS),
    "trainer_type": Inert("one trainer serves all"),
    "model": Inert("the backbone is a Kosmos-2", ("kosmos",), "only Kosmos-2 is a backbone here"),
    "model_url": Inert(CHECKPOINT),
    "model_path": Inert(CHECKPOINT),
    "model_config": Inert(CHECKPOINT),
    "seq_len": Inert("printed beside the learning rate, and used for nothing else"),
    "image_size": Inert(f"frames are {SIDES}", (FRAME_SIZE,), f"frames are {SIDES} here"),
    "image_mean": Inert(
        "the backbone's processor says the same",
        ([0.48145466, 0.4578275, 0.40821073],),
        "the backbone's processor normalises pixels",
    ),
    "image_std": Inert(
        "the backbone's processor says the same",
        ([0.26862954, 0.26130258, 0.27577711],),
        "the backbone's processor normalises pixels",
    ),
    "cap_loss_ratio": Inert("weight of a loss of captions, which are not predicted"),
    "fwd_loss_ratio": Inert("weight of a loss of coming frames, which are not predicted"),
    "num_workers": Inert("frames are decoded once and read from a memory map"),
    "data_scale": Inert(NOT_READ),
    "optimizer": Inert("not read: the code takes AdamW, as here"),
    "warmup_ratio": Inert(NOT_READ),
    "use_hand_rgb": Inert("one camera", OFF, "there is one camera here"),
    "use_time_causal_attn": Inert(NOT_HANDED_ON),
    "use_mim_obs_loss": Inert(NOT_HANDED_ON),
    "use_pixel_loss": Inert(NOT_HANDED_ON),
    "use_obs_queries": Inert(NOT_HANDED_ON),
    "vision_masked_ratio": Inert(NOT_HANDED_ON),
    "use_tube_mask": Inert(NOT_HANDED_ON),
    "use_vision_resampler": Inert("Kosmos-2 has its own", OFF, "a resampler cannot be added here"),
    "use_clip_norm": Inert("switched off", OFF, "a second text encoder cannot be added here"),
    "use_state": Inert("switched off", OFF, "the robot's state is no input here"),
    "output_root": Inert(FOLDERS),
    "log_root": Inert(FOLDERS),
    "cache_root": Inert(FOLDERS),
    "model_load_path": Inert(
        "starts from the backbone",
        (None, ""),
        "a checkpoint of RoboVLMs cannot be read; `training.init_from` starts from an experiment",
    ),
    "model_load_source": Inert("nothing is loaded (model_load_path)"),
    "resume": Inert(
        "starts afresh",
        (None, ""),
        "here a run that was stopped goes on by itself when asked again",
    ),
    "deepspeed_config": Inert("read by DeepSpeed, which is not used here"),
    "gpus": Inert("one process", (1, None), "one process trains here; batch_size was per GPU"),
    "num_nodes": Inert("one machine", (1, None), "one process trains here; batch_size was per GPU"),
    "train_setup.precision": Inert("overwritten by trainer.precision"),
    "train_setup.predict_action": Inert("actions are predicted", (True,), "nothing else is, here"),
    "train_setup.predict_forward": Inert("switched off", OFF, "only actions are predicted here"),
    "train_setup.predict_forward_hand": Inert("switched off", OFF, "only actions, here"),
    "train_setup.predict_caption": Inert("switched off", OFF, "only actions are predicted here"),
    "train_setup.bits": Inert("no quantisation", (-1, None), "weights are not quantised here"),
    "train_setup.freeze_mm_mlp_adapter": Inert(OTHER_MODELS),
    "train_setup.tune_mm_mlp_adapter": Inert(OTHER_MODELS),
    "train_setup.mm_use_im_start_end": Inert(OTHER_MODELS),
    "train_setup.mm_use_im_patch_token": Inert(OTHER_MODELS),
    "train_setup.mm_projector_lr": Inert(OTHER_MODELS),
    "train_setup.freeze_resampler": Inert(NO_RESAMPLER),
    "train_setup.gradient_checkpointing": Inert(
        "not read by the code; `training.gradient_checkpointing` is there, and changes no result"
    ),
    "train_setup.train_full_decoder": Inert(NOT_READ),
    "train_setup.train_decoder_layers": Inert(
        "all layers", (-1, None), "a part of the layers cannot be trained by itself here"
    ),
    "train_setup.reinit": Inert("switched off", OFF, "`weights: random` makes such a backbone"),
    "vision_resampler": Inert(NO_RESAMPLER),
    "act_encoder": Inert("none", (None,), "past actions are no input here"),
    "act_head.down_sample": Inert("there is one action token a frame, and nothing to thin out"),
    "act_head.latent": Inert("one action token a frame", (1,), "one action token a frame, here"),
    "act_head.fwd_pred_next_n": Inert(f"overwritten: {AT_THE_TOP}"),
    "act_head.window_size": Inert(f"overwritten: {AT_THE_TOP}"),
    "act_head.action_space": Inert(
        "continuous, as here", ("continuous",), "actions are continuous here"
    ),
    "act_head.with_history": Inert("a window is seen", (True,), "`window: 1` sees one frame"),
    "act_head.history_type": Inert(
        "readouts are gathered after the language model, as here",
        ("post",),
        "frames are encoded one by one here",
    ),
    "act_head.dropout": Inert("not read by the head; policy_rnn_dropout_p is"),
    "act_head.n_bin": Inert("read for discrete actions alone"),
    "act_head.min_action": Inert("read for discrete actions alone"),
    "act_head.max_action": Inert("read for discrete actions alone"),
    "fwd_head": Inert("none", (None,), "coming frames are not predicted here"),
    "tokenizer.type": Inert("the backbone's processor"),
    "tokenizer.pretrained_model_name_or_path": Inert(CHECKPOINT),
    "tokenizer.tokenizer_type": Inert("the backbone's own", ("kosmos",), "only Kosmos-2's, here"),
    "tokenizer.max_text_len": Inert("prompts are not cut"),
    "tokenizer.additional_special_tokens": Inert("none", (None, []), "tokens cannot be added here"),
    "tokenizer.use_local_files": Inert(CHECKPOINT),
    "vlm.type": Inert(CHECKPOINT),
    "vlm.name": Inert(CHECKPOINT),
    "vlm.pretrained_model_name_or_path": Inert(CHECKPOINT),
    "trainer.accelerator": Inert("a GPU is used where there is one"),
    "trainer.strategy": Inert("how processes share the work, which changes no setting"),
    "trainer.devices": Inert("overwritten by gpus"),
    "trainer.logger": Inert("metrics.csv and TensorBoard's events are always written"),
    "trainer.use_distributed_sampler": Inert("one process"),
    "trainer.log_every_n_steps": Inert("losses are means over an epoch"),
    "trainer.val_check_interval": Inert("validation follows each epoch"),
    "trainer.check_val_every_n_epoch": Inert("validation follows each epoch"),
    "trainer.max_steps": Inert("epochs decide", (-1, None), "epochs decide here: set them"),
    "trainer.enable_checkpointing": Inert("best and last policy are always kept"),
    "trainer.default_root_dir": Inert(FOLDERS),
    "norm_action": Inert(
        "commands are scaled by the dataset's `actions.scale`, exactly and without clipping"
    ),
    "norm_min": Inert("commands are scaled by the dataset's `actions.scale` and not clipped"),
    "norm_max": Inert("commands are scaled by the dataset's `actions.scale` and not clipped"),
    "discrete_action": Inert("continuous, as here", OFF, "actions are continuous here"),
    "regular_action": Inert("switched off", OFF, "commands are scaled by a constant here"),
    "use_mu_law": Inert("switched off", OFF, "commands are scaled by a constant here"),
    "tcp_rel": Inert("switched off", OFF, "an arm's"),
    "jetson_optimized": Inert(NOT_READ),
    "memory_limit_gb": Inert("not read by the code; here it stands at the top of config.yaml"),
    "use_fp16": Inert("not read by the code: trainer.precision decides"),
    "train_dataset.model_name": Inert("the backbone's own processor"),
    "train_dataset.window_size": Inert(AT_THE_TOP),
    "train_dataset.chunk_size": Inert(AT_THE_TOP),
    "train_dataset.image_size": Inert(
        f"frames are {SIDES}", (FRAME_SIZE,), f"frames are {SIDES} here"
    ),
    "train_dataset.action_dim": Inert("act_head.action_dim is what counts, and is mapped"),
    "train_dataset.normalize_actions": Inert("see norm_action"),
    "train_dataset.shift_first": Inert("switched off", OFF, "frames are not shifted here"),
    "train_dataset.abs_action": Inert("switched off", OFF, "the sign of a velocity is kept here"),
    "train_dataset.discrete_action": Inert("switched off", OFF, "actions are continuous here"),
    "train_dataset.is_validation": Inert("the training set"),
}

SECTIONS: dict[str, str] = {
    "vision_resampler.": NO_RESAMPLER,
    "on_device_optimization.": NOT_READ,
    "action_bounds.": NOT_READ,
    "action_descriptions.": NOT_READ,
}
"""Beginnings of keys that do nothing, whatever stands behind."""
