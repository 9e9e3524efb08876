"""Judge a blind trial on the robot, as far as it was driven."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mobile_vla.config.trials import TrialSettings
from mobile_vla.layout import TrialFiles
from mobile_vla.sentence import say
from mobile_vla.trials.analysis import DrivenBlock, decide, policy_rates
from mobile_vla.trials.files import SCHEDULE
from mobile_vla.trials.identity import policy_digest
from mobile_vla.trials.reading import Block, DrivenTrial, read_trial
from mobile_vla.trials.result import LeftOut, TrialResult

log = logging.getLogger(__name__)

NEVER = datetime.max.replace(tzinfo=UTC)


def trials(
    settings: TrialSettings, outputs: TrialFiles, *, policies: list[Path], folder: Path
) -> None:
    """Say which policy of a trial arrives more often, or that this is not known.

    Args:
        policies: ``policy.json`` of each policy as it is today, in the order of the settings.
        folder: the trial's committed files, such as ``trials/hall``; there may be none yet.

    Raises:
        UserError: schedule or key were changed, or two names stand for one policy.
    """
    digests = {
        name: policy_digest(path.parent)
        for name, path in zip(settings.policies, policies, strict=True)
    }
    trial = read_trial(folder, digests) if (folder / SCHEDULE).is_file() else None
    result = judge(settings, trial)
    result.write(outputs.trial)
    log.info(
        "%s: %d of %d blocks begun; %d of %d pairs decided",
        *(result.trial, result.begun, result.scheduled),
        *(sum(pair.better is not None for pair in result.pairs), len(result.pairs)),
    )


def judge(settings: TrialSettings, trial: DrivenTrial | None) -> TrialResult:
    """Return what a trial proves; before unblinding under the policies' letters."""
    names = [name for name in settings.policies if trial is not None and name in trial.letters]
    unblinded = trial.unblinded if trial is not None else None
    blind, alpha = unblinded is None, 1 - settings.confidence
    left_out = (
        [LeftOut(reason=one.kind, rows=one.count, sentence=one.sentence) for one in trial.left_out]
        if trial
        else []
    )
    left_out += [_not_scheduled(name) for name in settings.policies if trial and name not in names]
    shown = [trial.letters[name] if trial and blind else name for name in names]
    names_shown = dict(zip(names, shown, strict=True))
    blocks, voids = _begun(trial, names_shown) if trial else ([], [])
    scheduled = [
        [names_shown[name] for name in block.cells if name in names_shown]
        for block in (trial.blocks if trial else [])
        if not _is_begun(block)
    ]
    shown = sorted(shown) if blind else shown
    own_pairs = len(names) * (len(names) - 1) // 2
    comparisons = _comparisons(trial.versions) if trial else own_pairs
    return TrialResult(
        trial=settings.trial,
        unblinded=unblinded.isoformat() if unblinded else None,
        confidence=settings.confidence,
        scheduled=len(blocks) + len(scheduled),
        begun=len(blocks),
        comparisons=comparisons,
        policies=policy_rates(shown, blocks, alpha, blind=blind),
        pairs=decide(
            shown,
            blocks,
            settings.confidence,
            earlier=comparisons - own_pairs,
            scheduled=scheduled,
        ),
        voids=[] if blind else voids,
        left_out=left_out,
    )


def _begun(trial: DrivenTrial, shown: Mapping[str, str]) -> tuple[list[DrivenBlock], list[int]]:
    """Return the blocks with a drive in the order of their last one, and the void drives' blocks.

    In this order each look had seen the same blocks as all later ones.
    """

    def last(block: Block) -> datetime:
        return max((cell.begun for cell in block.cells.values() if cell.begun), default=NEVER)

    begun = [block for block in trial.blocks if _is_begun(block)]
    blocks, voids = [], []
    for number, block in enumerate(sorted(begun, key=last), start=1):
        voids += [number] * sum(cell.voids for cell in block.cells.values())
        outcomes = {
            name: block.cells[policy].outcome
            for policy, name in shown.items()
            if policy in block.cells and block.cells[policy].state != "earlier"
        }
        blocks.append(DrivenBlock(number, outcomes))
    return blocks, voids


def _is_begun(block: Block) -> bool:
    """Whether something was driven in a block, be it void."""
    return any(cell.state != "due" or cell.voids for cell in block.cells.values())


def _comparisons(versions: Mapping[str, int]) -> int:
    """Return how many pairs of policies were looked at, each version of one by itself."""
    return sum(one * other for one, other in itertools.combinations(versions.values(), 2))


def _not_scheduled(name: str) -> LeftOut:
    return LeftOut(
        reason="not_scheduled",
        rows=0,
        sentence=say(
            "{policy} is not on the schedule; a trial under another name would have it", policy=name
        ),
    )
