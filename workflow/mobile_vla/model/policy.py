"""The policy: what turns frames and an instruction into velocities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobile_vla.backbone.checkpoint import Checkpoint
from mobile_vla.config.features import Cut
from mobile_vla.config.model import PolicySettings
from mobile_vla.data.actions import denormalise
from mobile_vla.errors import UserError
from mobile_vla.model.adapter import expected_parts, prepare_backbone, trainable_parameters
from mobile_vla.model.encoder import READOUT_TOKEN_SEED, Encoder, initial_action_token
from mobile_vla.model.folder import (
    load_weights,
    read_description,
    settings_of,
    tokens_of,
    write_folder,
)
from mobile_vla.model.head import LstmHead
from mobile_vla.model.prompts import PromptTokens


class Policy(nn.Module):
    """Backbone, head, prompts and action scale.

    Args:
        settings: all that shapes the policy.
        kosmos: a ``Kosmos2Model``; it is frozen, adapted and changed in place.
        processor: its processor.
        texts: the prompts that the policy is trained with.
        seed: seed of adapters, head and action token.
    """

    def __init__(
        self,
        settings: PolicySettings,
        kosmos: nn.Module,
        processor: Any,
        texts: tuple[str, ...],
        seed: int,
    ):
        super().__init__()
        self.settings = settings
        self.texts = texts
        config: Any = kosmos.config
        prompts = PromptTokens.of(texts, processor, config.latent_query_num)
        learned = settings.learned_action_token
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            token = initial_action_token(kosmos, seed if learned else READOUT_TOKEN_SEED)
            self.encoder = Encoder(
                prepare_backbone(kosmos, settings), processor, prompts, token, learned
            )
            self.head = LstmHead(
                settings.head,
                config.text_config.hidden_size,
                settings.chunk,
                len(settings.actions.dimensions),
            )
        found, declared = set(trainable_parameters(self)), expected_parts(settings)
        if found != declared:
            raise RuntimeError(f"trained would be {sorted(found)}, declared is {sorted(declared)}")

    @classmethod
    def from_pretrained(cls, folder: Path, backbone: Checkpoint) -> Policy:
        """Rebuild a policy from its folder.

        Args:
            folder: the folder of ``policy.json``.
            backbone: the backbone that the policy was trained on.

        Returns:
            The policy in float32 and in evaluation mode, on the CPU.

        Raises:
            UserError: a file is missing or damaged, or the backbone, its tokens or the settings
                are not those of the training.
        """
        path = folder / "policy.json"
        described = read_description(path, backbone)
        policy = cls(
            settings_of(path, described),
            backbone.model(),
            backbone.processor(),
            tuple(described["prompts"]),
            seed=0,
        )
        if tokens_of(policy) != described["tokens"]:
            raise UserError(
                f"{path} (tokens): the backbone's tokenizer gives other tokens for the policy's "
                "prompts than in training; use the tokenizer it was trained with"
            )
        load_weights(policy, folder)
        return policy.eval()

    def save_pretrained(self, folder: Path, backbone: Checkpoint, facts: dict[str, Any]) -> None:
        """Write the policy's folder: what was trained, and never the frozen backbone.

        Args:
            folder: where to; files of an earlier policy that this one does not have are removed.
            backbone: what the policy was trained on.
            facts: what else to say of it in ``policy.json``, as plain JSON values.
        """
        write_folder(self, folder, backbone, facts)

    def train(self, mode: bool = True) -> Policy:
        """Switch to training, but leave the frozen prefix in evaluation.

        The projection's attention has dropout: a feature that was stored must equal a live one.
        """
        super().train(mode)
        full = self.settings.full
        kosmos = self.encoder.kosmos
        if full is None or not full.vision:
            kosmos.vision_model.eval()
        if full is None or not full.projection:
            kosmos.image_to_text_projection.eval()
        if self.settings.cut == "readout":
            kosmos.eval()
        return self

    def forward(
        self, features: Tensor, prompts: Tensor, windows: Tensor, cut: Cut | None = None
    ) -> Tensor:
        """Predict the chunks of a batch of windows.

        Each frame is encoded once, however many windows hold it.

        Args:
            features: (F, …) the batch's distinct frames, or their features at the cut.
            prompts: (F,) index of each frame's prompt in ``texts``.
            windows: (B, W) which of the F frames a window holds, oldest first.
            cut: where ``features`` were taken; by default where this policy's frozen prefix ends.

        Returns:
            (B, C, A) actions in normalised units.
        """
        readouts = self.encoder.readouts(features, prompts, cut or self.settings.cut)  # (F, D)
        return self.head(readouts[windows])  # (B, W, D) -> (B, C, A)

    def denormalise(self, actions: Tensor) -> Tensor:
        """Turn normalised actions into raw command units."""
        return denormalise(actions, self.settings.actions.scale)

    def own_state(self) -> Mapping[str, Tensor]:
        """Return the head's tensors and the action token: what is trained outside the backbone."""
        state = {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}
        return {**state, "action_token": self.encoder.action_token.detach()}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what :meth:`own_state` returned."""
        head = {
            name.removeprefix("head."): tensor
            for name, tensor in state.items()
            if name.startswith("head.")
        }
        self.head.load_state_dict(head)
        with torch.no_grad():
            self.encoder.action_token.copy_(state["action_token"])
