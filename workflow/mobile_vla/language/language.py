"""Does a policy listen? Its predictions on the validation frames under other prompts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobile_vla.config.language import LanguageSettings
from mobile_vla.config.uncertainty import Uncertainty
from mobile_vla.conventions import columns_of
from mobile_vla.data.mirror import SIGNS
from mobile_vla.files import write_json
from mobile_vla.language.prompts import OPPOSITE, RIGHT, prompts_of
from mobile_vla.layout import LanguageFiles
from mobile_vla.machine import use_threads
from mobile_vla.runs.data import open_run
from mobile_vla.runs.inputs import PolicyInputs
from mobile_vla.runs.policy import load_policy
from mobile_vla.runs.predict import predict_under_prompts
from mobile_vla.statistics.intervals import FEWEST
from mobile_vla.statistics.proportions import above, below, paired

log = logging.getLogger(__name__)

LATERAL = ("linear_y", "angular_z")
"""Where a side shows, the first that is predicted; positive is left in both."""

USED, IGNORED, REVERSED = "language used", "language ignored", "language reversed"
UNDECIDED = "cannot be told"


def language(
    settings: LanguageSettings, inputs: PolicyInputs, outputs: LanguageFiles, *, threads: int
) -> None:
    """Ask a policy with the right, the opposite, a constant and a paraphrased prompt.

    Args:
        settings: the run and its other prompts.
        inputs: its policy and data; features only at the cut ``image_embeds``: elsewhere frames are
            encoded anew, because vision is trained or the stored readouts hold the right prompt.
        outputs: the file to write.
        threads: cores that the job was given.

    Raises:
        UserError: the policy is not the one of these settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    data = open_run(settings, inputs, settings.precision)
    loaded = load_policy(inputs.policy, settings.policy, data)
    samples, dataset = data.samples["val"], data.dataset
    asked = prompts_of(dataset.episodes, settings.policy.prompt, settings.language)
    texts = tuple(sorted({text for own in asked.values() for text in own}))
    loaded.use_prompts(texts, data.backbone.processor())
    places = {text: place for place, text in enumerate(texts)}
    prompt_of_row = {
        kind: np.repeat([places[text] for text in own], dataset.lengths)
        for kind, own in asked.items()
    }
    predicted = predict_under_prompts(
        loaded, samples, prompt_of_row, settings.language.batch_size, data.precision
    )
    table = samples.table
    swapped = [
        right != opposite for right, opposite in zip(asked[RIGHT], asked[OPPOSITE], strict=True)
    ]
    result = listening(
        predicted,
        truth=samples.raw_actions[table.targets],
        mask=table.mask,
        episode=table.episode,
        sides=[
            episode.scenario["side"] if swap else None
            for episode, swap in zip(dataset.episodes, swapped, strict=True)
        ],
        dimensions=settings.policy.actions.dimensions,
        threshold=settings.language.threshold * settings.policy.actions.scale,
        uncertainty=settings.uncertainty,
    )
    own = np.unique(table.episode)
    write_json(
        outputs.language,
        {
            "experiment": settings.experiment,
            "run": settings.run,
            "dataset": dataset.name,
            "manifest": data.identity["manifest"],
            "split": data.identity["split"],
            "asked_on": "val",
            "prompts": {
                kind: sorted({texts_[index] for index in own}) for kind, texts_ in asked.items()
            },
            **result,
        },
    )
    log.info("%s: %s; %s", settings.title, result["verdict"], result["why"])


def listening(
    predicted: Mapping[str, np.ndarray],
    *,
    truth: np.ndarray,
    mask: np.ndarray,
    episode: np.ndarray,
    sides: Sequence[str | None],
    dimensions: Sequence[str],
    threshold: float,
    uncertainty: Uncertainty,
) -> dict[str, Any]:
    """Return what the predictions under different prompts say of a policy.

    The verdict rests on the lateral shift: how much farther left the first command of a chunk, the
    one that a robot would carry out, goes when the prompt says left than when it says right, in the
    same window. What counts are the windows at which the prompt decides: those whose true first
    command goes to the told side. (On a straight stretch, and when it turns back behind the box, a
    driver does the same whatever it was told.) The mean over an episode's windows is one value, and
    the interval is a bootstrap over episodes. Language is ``used`` where the interval lies above
    the threshold, ``reversed`` where it lies below its negative, and ``ignored`` where it lies
    between both: a policy whose commands merely change with the prompt, without regard to its
    meaning, does not use it.

    Args:
        predicted: by kind of prompt, (N, C, A) in raw command units.
        truth: (N, C, A) in raw command units.
        mask: (N, C) True where the step exists.
        episode: (N,) index of each window's episode in ``sides``.
        sides: ``left`` or ``right`` by episode; None where its opposite prompt is no other.
        dimensions: names of the A dimensions.
        threshold: smallest shift that counts, in raw command units.
        uncertainty: how intervals are made.
    """
    flipped = truth * SIGNS[columns_of(dimensions)]
    shift, why = _shift(predicted, truth, mask, episode, sides, dimensions, threshold, uncertainty)
    verdict = UNDECIDED if why else _verdict(shift, threshold)
    return {
        "unit": "raw command units",
        "dimensions": list(dimensions),
        "episodes": len(np.unique(episode[mask.any(axis=1)])),
        "windows": int(mask.any(axis=1).sum()),
        "steps": int(mask.sum()),
        "mae": {
            kind: _mean_change(found, truth, mask, dimensions) for kind, found in predicted.items()
        },
        "mae_of_opposite_against_mirrored_truth": _mean_change(
            predicted[OPPOSITE], flipped, mask, dimensions
        ),
        "sensitivity": {
            kind: _mean_change(found, predicted[RIGHT], mask, dimensions)
            for kind, found in predicted.items()
            if kind != RIGHT
        },
        "mae_increase_under_opposite": _increase(predicted, truth, mask, episode, uncertainty),
        "lateral_shift": shift,
        "verdict": verdict,
        "why": why or _reason(shift),
    }


def _mean_change(
    found: np.ndarray, other: np.ndarray, mask: np.ndarray, dimensions: Sequence[str]
) -> dict[str, float]:
    change = np.abs(found[mask].astype(np.float64) - other[mask])  # (S, A)
    each = dict(zip(dimensions, change.mean(axis=0).tolist(), strict=True))
    return {"overall": float(change.mean()), **each}


def _increase(
    predicted: Mapping[str, np.ndarray],
    truth: np.ndarray,
    mask: np.ndarray,
    episode: np.ndarray,
    uncertainty: Uncertainty,
) -> dict[str, Any]:
    """Return by how much the MAE rises under the opposite prompt, paired by episode."""
    errors = {
        kind: np.abs(predicted[kind].astype(np.float64) - truth).mean(axis=2)
        for kind in (RIGHT, OPPOSITE)
    }
    more = errors[OPPOSITE] - errors[RIGHT]  # (N, C)
    return paired(
        np.array([more[rows][mask[rows]].mean() for rows in _rows_of(episode, mask.any(axis=1))]),
        uncertainty,
    )


def _rows_of(episode: np.ndarray, counted: Any) -> list[np.ndarray]:
    return [np.flatnonzero((episode == one) & counted) for one in np.unique(episode[counted])]


def _shift(
    predicted: Mapping[str, np.ndarray],
    truth: np.ndarray,
    mask: np.ndarray,
    episode: np.ndarray,
    sides: Sequence[str | None],
    dimensions: Sequence[str],
    threshold: float,
    uncertainty: Uncertainty,
) -> tuple[dict[str, Any] | None, str]:
    """Return the lateral shift with its interval, and why there is no verdict, if there is none."""
    lateral = [name for name in LATERAL if name in dimensions]
    if not lateral:
        return None, f"no predicted dimension is lateral ({' or '.join(LATERAL)})"
    known = np.array([side is not None for side in sides])[episode] & mask[:, 0]
    if not known.any():
        return None, "no validation episode has a prompt that changes with its side"
    # More to the left under the right prompt, where that says left; else under the opposite one.
    sign = np.array([-1.0 if side == "right" else 1.0 for side in sides])[episode]  # (N,)
    column = list(dimensions).index(lateral[0])
    known &= truth[:, 0, column] * sign > threshold
    if not known.any():
        return None, "in no validation window does the driver go to the told side"
    change = (predicted[RIGHT] - predicted[OPPOSITE]).astype(np.float64)[:, 0, column] * sign
    found = paired(
        np.array([change[rows].mean() for rows in _rows_of(episode, known)]), uncertainty
    )
    shift = {"dimension": lateral[0], **found, "threshold": threshold}
    if found["units"] < FEWEST:
        return shift, f"only {found['units']} episodes; {FEWEST} are needed"
    return shift, ""


def _verdict(shift: dict[str, Any] | None, threshold: float) -> str:
    assert shift is not None
    if above(shift, threshold):
        return USED
    if below(shift, -threshold):
        return REVERSED
    return IGNORED if above(shift, -threshold) and below(shift, threshold) else UNDECIDED


def _reason(shift: dict[str, Any] | None) -> str:
    assert shift is not None
    return (
        f"where the driver turns to the told side, {shift['dimension']} goes "
        f"{shift['mean']:+.3f} farther left when told left instead of right "
        f"({shift['confidence']:.0%} interval {_bound(shift['low'])} to {_bound(shift['high'])}, "
        f"{shift['units']} episodes; {shift['threshold']:.3f} counts)"
    )


def _bound(value: float | None) -> str:
    return "open" if value is None else f"{value:+.3f}"
