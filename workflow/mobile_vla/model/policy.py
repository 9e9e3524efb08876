"""The policy: a module that turns frames and an instruction into velocities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.backbone.kosmos2 import build_model, checkpoint_activations, sizes_of
from mobile_vla.config.features import Cut
from mobile_vla.config.model import PolicySettings
from mobile_vla.conventions import denormalise, normalise
from mobile_vla.errors import UserError
from mobile_vla.model.adapter import (
    expected_parts,
    leave_frozen_in_evaluation,
    load_backbone,
    lora_config,
    prepare_backbone,
    trainable_parameters,
)
from mobile_vla.model.encoder import (
    READOUT_TOKEN_SEED,
    Encoder,
    PromptTokens,
    initial_action_token,
)
from mobile_vla.model.folder import (
    DESCRIPTION,
    FORMAT,
    HEAD,
    PACKAGES,
    Tensors,
    read_folder,
    write_folder,
)
from mobile_vla.model.heads import build_head
from mobile_vla.model.heads.head import Supervised
from mobile_vla.model.result import PolicyCore, PolicyOrigin, TrainedBackbone
from mobile_vla.provenance.code import versions


class Policy(nn.Module):
    """Backbone, head, prompts and action scale.

    Args:
        settings: all that shapes the policy.
        model: the backbone's model, which is changed in place. What is trained of it must be in
            float32; adapters always are.
        processor: its processor.
        texts: the prompts that the policy is trained with.
        seed: seed of adapters, head and action token.
        fixed: dimensions that are not learnt, with the constant to answer in command units.
    """

    fixed: Tensor

    def __init__(
        self,
        settings: PolicySettings,
        model: nn.Module,
        processor: Any,
        texts: tuple[str, ...],
        seed: int,
        fixed: Mapping[str, float] | None = None,
    ):
        super().__init__()
        self.settings = settings
        self.texts = texts
        self.fixed_values = dict(fixed or {})
        dimensions, scale = settings.actions.dimensions, settings.actions.full
        constants = [self.fixed_values.get(name, math.nan) for name in dimensions]
        # (A,) in normalised units, NaN where the head's output counts
        self.register_buffer("fixed", normalise(torch.tensor(constants), scale), persistent=False)
        sizes = sizes_of(model.config)
        prompts = PromptTokens.of(texts, processor, sizes.image_tokens)
        learned = settings.learned_action_token
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            token = initial_action_token(model, seed if learned else READOUT_TOKEN_SEED)
            self.encoder = Encoder(
                prepare_backbone(model, settings),
                processor,
                prompts,
                token,
                learned,
                settings.adapted_layers,
            )
            self.head = build_head(settings, sizes.width)
        trained, declared = set(trainable_parameters(self)), expected_parts(settings)
        if trained != declared:
            raise RuntimeError(
                f"trained would be {sorted(trained)}, declared is {sorted(declared)}"
            )

    @classmethod
    def from_pretrained(cls, folder: Path, backbone: Checkpoint, precision: str) -> Policy:
        """Rebuild a policy from its folder, in evaluation mode and on the CPU.

        Args:
            folder: the folder of ``policy.json``.
            backbone: the backbone that the policy was trained on.
            precision: resolved number format that the frozen matrices are held in.

        Raises:
            UserError: a file is missing or damaged; or ``policy.json``, the backbone, its tokens
                or a library's major version is not that of the training.
        """
        described, tensors = read_folder(folder, backbone)
        policy = cls(
            described.settings,
            load_backbone(backbone, described.settings, precision),
            backbone.processor(),
            tuple(described.prompts),
            seed=0,
            fixed=described.fixed,
        )
        if policy.encoder.tokens_digest() != described.tokens:
            raise UserError(
                f"{folder / DESCRIPTION} (tokens): the backbone's tokenizer gives other tokens for "
                "the policy's prompts than in training; use the tokenizer it was trained with"
            )
        policy.load_trained(tensors)
        return policy.eval()

    def save_pretrained(self, folder: Path, backbone: Checkpoint, origin: PolicyOrigin) -> None:
        """Write the policy's folder: what was trained, and never the frozen backbone.

        See :func:`~mobile_vla.model.folder.write_folder`.
        """
        core = PolicyCore(
            format=FORMAT,
            settings=self.settings,
            backbone=TrainedBackbone(
                name=backbone.name,
                revision=backbone.revision,
                digest=backbone.digest,
                files=dict(backbone.files),
            ),
            versions=versions(PACKAGES),
            files={},
            prompts=list(self.texts),
            tokens=self.encoder.tokens_digest(),
            fixed=self.fixed_values,
        )
        lora = self.settings.lora
        adapters = None if lora is None else lora_config(lora, self.encoder.base_model.config)
        write_folder(folder, core, origin, self.trained(), adapters)

    def use_prompts(self, texts: tuple[str, ...], processor: Any) -> None:
        """Replace the prompts of training by others, such as those of another dataset.

        Raises:
            UserError: the tokenizer does not know a character of a prompt.
        """
        image_tokens = sizes_of(self.encoder.base_model.config).image_tokens
        self.encoder.use_prompts(PromptTokens.of(texts, processor, image_tokens))
        self.texts = texts

    def trained(self) -> Tensors:
        """Return the trained tensors of each part, and the action token even where it is fixed."""
        head = {f"{HEAD}{name}": tensor for name, tensor in self.head.state_dict().items()}
        parts = {"head": {**head, "action_token": self.encoder.action_token.detach()}}
        if self.settings.lora is not None:
            # With `bias: all` it has those of frozen layers too, where these are loaded.
            frozen = {
                name
                for name, parameter in self.encoder.backbone.named_parameters()
                if not parameter.requires_grad
            }
            adapters = get_peft_model_state_dict(self.encoder.backbone)
            parts["adapter_model"] = {
                name: tensor for name, tensor in adapters.items() if name not in frozen
            }
        if self.settings.full is not None:
            parts["backbone"] = {
                name: parameter.detach()
                for name, parameter in self.encoder.base_model.named_parameters()
                if parameter.requires_grad
            }
        return parts

    def load_trained(self, tensors: Tensors) -> None:
        """Load what :meth:`trained` returned.

        Raises:
            UserError: they are not exactly the tensors that this policy trains.
        """
        stored, expected = (
            {
                f"{part}: {name} {tuple(value.shape)}"
                for part, values in parts.items()
                for name, value in values.items()
            }
            for parts in (tensors, self.trained())
        )
        if stored != expected:
            raise UserError(
                f"the policy's files hold {len(stored - expected)} tensors that it does not train, "
                f"and lack {len(expected - stored)} that it does, such as "
                f"{min(stored ^ expected)}; train the policy again"
            )
        head = dict(tensors["head"])
        with torch.no_grad():
            self.encoder.action_token.copy_(head.pop("action_token"))
        self.head.load_state_dict({name.removeprefix(HEAD): head[name] for name in head})
        if self.settings.lora is not None:
            set_peft_model_state_dict(self.encoder.backbone, dict(tensors["adapter_model"]))
        if self.settings.full is not None:
            self.encoder.base_model.load_state_dict(tensors["backbone"], strict=False)

    @property
    def device(self) -> torch.device:
        """Where the policy computes."""
        return self.encoder.ids.device

    @property
    def learned_dimensions(self) -> int:
        """Number of dimensions that the head learns, and that the loss is a mean over."""
        return len(self.settings.actions.dimensions) - len(self.fixed_values)

    def checkpoint_gradients(self) -> None:
        """Keep only the layers' inputs for the backward pass; the result stays the same.

        It is for the finished policy: before adapters are in, PEFT would make the embeddings
        require gradients, and writing image embeddings between them would fail.
        """
        checkpoint_activations(self.encoder.base_model)

    def train(self, mode: bool = True) -> Policy:
        """Switch to training, but leave the frozen prefix in evaluation."""
        super().train(mode)
        leave_frozen_in_evaluation(self.encoder.base_model, self.settings)
        return self

    def forward(
        self,
        features: Tensor,
        prompts: Tensor,
        windows: Tensor,
        cut: Cut | None = None,
    ) -> Tensor:
        """Predict the chunks of a batch of windows; a frame of several is encoded once.

        Args:
            features: (F, …) the batch's distinct frames, or their features at the cut.
            prompts: (F,) index of each frame's prompt in ``texts``.
            windows: (B, W) which of the F frames a window holds, oldest first.
            cut: where ``features`` were taken; by default where this policy's frozen prefix ends.

        Returns:
            (B, C, A) actions in normalised units.
        """
        readouts = self.encoder.readouts(features, prompts, cut or self.settings.cut)  # (F, D)
        return self.chunks(readouts[windows])

    def chunks(self, readouts: Tensor) -> Tensor:
        """Predict as :meth:`forward` does, from readouts of windows, (B, W, D), oldest first."""
        return self._with_constants(self.head(readouts))[..., : len(self.fixed)]

    def supervised(
        self,
        features: Tensor,
        prompts: Tensor,
        windows: Tensor,
        targets: Tensor,
        cut: Cut | None = None,
    ) -> Supervised:
        """Return what a batch is trained by, with all that the head writes besides velocities.

        The arguments are those of :meth:`forward`; ``targets`` are as
        :meth:`~mobile_vla.model.heads.head.ActionHead.supervised` takes them.
        """
        readouts = self.encoder.readouts(features, prompts, cut or self.settings.cut)  # (F, D)
        found = self.head.supervised(readouts[windows], targets, self.fixed.isnan())
        return found._replace(outputs=self._with_constants(found.outputs))

    def _with_constants(self, outputs: Tensor) -> Tensor:
        """Put the constants of dimensions that are not learnt into outputs (B, C, P)."""
        others = outputs.shape[-1] - len(self.fixed)
        fixed = nn.functional.pad(self.fixed, (0, others), value=math.nan)
        return torch.where(fixed.isnan(), outputs, fixed.to(outputs.dtype))

    def denormalise(self, actions: Tensor) -> Tensor:
        """Turn normalised actions into command units."""
        return denormalise(actions, self.settings.actions.full)

    def recorded(self, commands: np.ndarray) -> np.ndarray:
        """Turn command units (…, A) into commands as the training episodes recorded them."""
        units = np.array(self.settings.actions.units, dtype=commands.dtype)
        return np.asarray(commands * units)


def skeleton(config: Any, settings: PolicySettings) -> nn.ModuleDict:
    """Build a policy's layers on PyTorch's ``meta`` device, where tensors have no content.

    Returns:
        ``backbone`` with its adapters, and ``head``, with the parameters that are trained marked as
        such. The action token is not in it.
    """
    with torch.device("meta"):
        backbone = prepare_backbone(build_model(config), settings)
        head = build_head(settings, sizes_of(config).width)
    return nn.ModuleDict({"backbone": backbone, "head": head})
