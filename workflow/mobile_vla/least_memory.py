"""What a training takes at least, from its settings alone: for the plan, which loads no torch.

Weights, the optimiser's moments and gradients are counted, as far as they are matrices. Activations
depend on the data, on the machine and on the model's code; the training itself estimates them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mobile_vla.config.backbone import Backbone, RandomBackbone
from mobile_vla.config.mistakes import Source
from mobile_vla.config.model import Lora, PolicySettings
from mobile_vla.config.training import TrainSettings
from mobile_vla.errors import UserError
from mobile_vla.files import read_json

TRAINED = 16  # bytes of a trained parameter: itself, two moments and the gradient, all in float32
GB = 1e9


@dataclass(frozen=True)
class TensorSizes:
    """TensorSizes of a Kosmos-2: of its vision tower, and of its language model."""

    vision: int  # width
    vision_layers: int
    vision_ffn: int
    text: int  # width D
    text_layers: int
    text_ffn: int
    vocabulary: int

    def parts(self) -> dict[str, int]:
        """Return the matrices' parameters by part, as ``finetune: full`` names them."""
        return {
            "vision": self.vision_layers * _layer(self.vision, self.vision_ffn),
            "projection": self.vision * self.text + 4 * self.text**2,
            "text": self.text_layers * _layer(self.text, self.text_ffn),
            "text_embedding": self.vocabulary * self.text,
        }


def _layer(width: int, ffn: int) -> int:
    return 4 * width**2 + 2 * width * ffn


def check_least_memory(
    settings: TrainSettings, backbone: Backbone, limit_gb: float, source: Source
) -> None:
    """Refuse a training whose weights alone take more than a limit.

    Args:
        source: where the limit stands.

    Raises:
        UserError: they do; says what they would take with less fine-tuning.
    """
    sizes = sizes_of(backbone)
    if sizes is None:
        return
    policy, precision = settings.policy, settings.training.precision
    least = least_memory(policy, precision, sizes)
    if least <= limit_gb:
        return
    layers = policy.adapted_layers
    adapted = {"finetune": "lora", "lora": Lora(layers=layers), "full": None}
    nothing = {"finetune": "none", "lora": None, "full": None}
    options = {
        "training.precision: bf16": least_memory(policy, "bf16", sizes),
        "lora.r: 32" if policy.lora else "finetune: lora": least_memory(
            policy.model_copy(update=adapted), precision, sizes
        ),
        "finetune: none": least_memory(policy.model_copy(update=nothing), precision, sizes),
    }
    listed = [
        f"    {change}: at least {gb:.3g} GB" for change, gb in options.items() if gb < 0.95 * least
    ]
    place = source.place(("memory_limit_gb",))
    raise UserError(
        f"{place}: a training step of {settings.experiment!r} takes at least {least:.3g} GB for "
        "weights, gradients and the optimiser, before any activation, and "
        f"{limit_gb:g} GB are allowed. Lower head.hidden_size, head.mlp or lora.r if one is larger "
        "than you meant, choose a smaller backbone, or raise memory_limit_gb on a machine that has "
        "as much." + ("\nLess is taken with\n" + "\n".join(listed) if listed else "")
    )


def least_memory(policy: PolicySettings, precision: str, sizes: TensorSizes) -> float:
    """Return what weights, moments and gradients take at least, in 10⁹ bytes."""
    layers = policy.adapted_layers
    if layers is not None:  # those below are not loaded
        sizes = replace(sizes, text_layers=min(layers, sizes.text_layers))
    parts = sizes.parts()
    held = {
        "pixels": set(parts),
        "image_embeds": {"text", "text_embedding"},
        "hidden_states": {"text", "text_embedding"},
        "readout": {"text_embedding"},
    }[policy.cut]
    full = policy.full.model_dump() if policy.full is not None else {}
    trained = {part for part in held if full.get(part)}
    # The token embeddings stay in float32; the format of the rest may depend on the machine.
    half = 4 if precision == "fp32" else 2
    frozen = sum(parts[p] * (4 if p == "text_embedding" else half) for p in held - trained)
    values = policy.chunk * policy.head_dimensions
    head = policy.head.matrices(sizes.text, policy.window, values)
    learned = sum(parts[part] for part in trained) + _adapters(policy, sizes) + head
    return (frozen + TRAINED * learned) / GB


def _adapters(policy: PolicySettings, sizes: TensorSizes) -> int:
    """Return the adapters' parameters: two matrices of rank r for each adapted one."""
    if policy.lora is None:
        return 0
    ends = dict.fromkeys(("q_proj", "k_proj", "v_proj", "out_proj"), 2 * sizes.text)
    ends |= dict.fromkeys(("fc1", "fc2"), sizes.text + sizes.text_ffn)
    adapted = sum(ends.get(target, 0) for target in set(policy.lora.targets))
    return policy.lora.r * adapted * sizes.text_layers


def sizes_of(backbone: Backbone) -> TensorSizes | None:
    """Return the sizes of a backbone; None where they are not known before it is downloaded."""
    if isinstance(backbone, RandomBackbone):
        vision, text = backbone.vision, backbone.text
        return TensorSizes(
            vision.hidden_size,
            vision.layers,
            vision.ffn,
            text.hidden_size,
            text.layers,
            text.ffn,
            text.vocabulary,
        )
    if backbone.revision is not None:
        return None
    try:
        config = read_json(Path(backbone.checkpoint).expanduser() / "config.json")
        vision, text = config["vision_config"], config["text_config"]
        values = (
            *(vision[name] for name in ("hidden_size", "num_hidden_layers", "intermediate_size")),
            *(text[name] for name in ("embed_dim", "layers", "ffn_dim", "vocab_size")),
        )
    except (UserError, OSError, RuntimeError, KeyError, TypeError):
        return None  # whether the folder is a checkpoint is checked elsewhere
    return TensorSizes(*values) if all(isinstance(value, int) for value in values) else None
