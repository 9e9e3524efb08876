"""Draw the schedule of a trial: which policy drives which scene, in an order that nobody knows."""

from __future__ import annotations

import csv
import logging
import random
import secrets
from collections.abc import Sequence
from pathlib import Path

from mobile_vla.config.loading import read_project
from mobile_vla.config.trials import TrialDesign
from mobile_vla.errors import Problem, Problems, UserError
from mobile_vla.files import read_json
from mobile_vla.filesets import RESULTS
from mobile_vla.layout import TrainingFiles
from mobile_vla.trials.files import (
    DRIVES,
    FOLDER,
    OUTCOMES,
    RESTORE,
    SCHEDULE,
    SHEET,
    TrialFolder,
    row_of,
)
from mobile_vla.trials.identity import check_distinct, policy_digest
from mobile_vla.trials.ledger import new_ticket
from mobile_vla.trials.records import LETTERS, Key, KeyPart, Scheduled
from mobile_vla.trials.sheet import write_sheet

log = logging.getLogger(__name__)

SCENE, INSTRUCTION = "scene", "instruction"
MOST_SCENES = 10_000


def schedule(trial: str, *, extend: int | None = None, without: str | None = None) -> None:
    """Write the schedule of a trial, its key, and a sheet for the clipboard.

    They lie in trials/TRIAL beside config.yaml. A schedule that is there is never changed.

    Args:
        trial: its name in config.yaml.
        extend: append so many blocks to the schedule that is there.
        without: letters of the policies that these blocks leave out, such as `BC`, because they
            are worse than another.

    Raises:
        UserError: the trial is not in config.yaml, or cannot be scheduled.
    """
    settings = trial_of(trial)
    files = TrialFolder(FOLDER / trial)
    _check_call(files, extend, without)
    digests = digests_of(settings)
    check_distinct(digests, f"config.yaml (trials.{trial}.policies)")
    scenes = read_scenes(Path(settings.scenes).expanduser())
    _warn_of_instructions(settings, scenes)
    files.path.mkdir(parents=True, exist_ok=True)
    draw = secrets.SystemRandom()
    with files.locked():
        if extend is None:
            names = draw.sample(settings.policies, len(settings.policies))
            letters = dict(zip(names, LETTERS, strict=False))
            key, before = Key(letters=dict(sorted(letters.items())), parts=()), []
        else:
            key, before = files.key(), files.schedule()
            if set(key.letters) != set(settings.policies):
                raise UserError(
                    f"config.yaml (trials.{trial}.policies): found "
                    f"{', '.join(settings.policies)}, expected {', '.join(key.letters)}, as the "
                    "schedule was drawn for; compare others in a trial of their own"
                )
        driving = _driving(key, without)
        part, rows = drawn(driving, scenes, before, extend or settings.blocks, draw)
        files.write_key(key.model_copy(update={"parts": (*key.parts, part)}))
        files.append(SCHEDULE, [row_of(row) for row in rows])
        write_sheet(files, trial, scenes)
    log.info(
        "%s: %d drives in %d blocks; %s is to be printed. Commit the folder before anybody drives",
        files.path / SCHEDULE,
        len(rows),
        extend or settings.blocks,
        files.path / SHEET,
    )


def _check_call(files: TrialFolder, extend: int | None, without: str | None) -> None:
    """Refuse what would overwrite a schedule, or extend none.

    Raises:
        UserError: so it is.
    """
    path, name = files.path / SCHEDULE, files.path.name
    if without is not None and extend is None:
        raise UserError("--without: only with `--extend`; in the first blocks all policies drive")
    driven = [one for one in (DRIVES, OUTCOMES) if (files.path / one).exists()]
    if extend is None:
        if path.exists():
            again = f"`schedule {name} --extend N` appends N blocks"
            if not driven:
                again += "; as nothing was driven yet, you may also remove it and key.json"
            raise UserError(f"{path}: it is there already, and what is driven hangs on it; {again}")
        if driven:
            raise UserError(f"{path}: not there, and {driven[0]} is; {RESTORE}")
    elif extend < 1 or not path.exists():
        lacks = (
            "expected 1 block at least" if path.exists() else f"{path} is not there; leave it out"
        )
        raise UserError(f"--extend {extend}: {lacks}")
    elif files.unblinded() is not None:
        raise UserError(f"{files.path}: the names were told; schedule a trial of another name")


def _warn_of_instructions(settings: TrialDesign, scenes: Sequence[dict[str, str]]) -> None:
    """Warn of instructions that a policy of the trial was not trained with."""
    asked = {scene[INSTRUCTION] for scene in scenes}
    for policy in settings.policies:
        described = policy_folder(policy) / "policy.json"
        others = sorted(asked - set(read_json(described)["prompts"])) if described.is_file() else []
        if others:
            log.warning(
                "%s: %s was not trained with %s; `serve --trials` refuses these drives, unless it "
                "is called with `--allow-other-prompts`",
                settings.scenes,
                policy,
                ", ".join(map(repr, others)),
            )


def _driving(key: Key, without: str | None) -> list[str]:
    """Return the policies that go on.

    Raises:
        UserError: a letter is none of the trial's, or fewer than two are left.
    """
    left_out = set((without or "").upper())
    driving = [policy for policy, letter in key.letters.items() if letter not in left_out]
    if left_out - set(key.letters.values()) or len(driving) < 2:
        raise UserError(
            f"--without {without}: expected letters of {', '.join(sorted(key.letters.values()))}, "
            "so that two policies are left at least"
        )
    return driving


def drawn(
    policies: Sequence[str],
    scenes: Sequence[dict[str, str]],
    before: Sequence[Scheduled],
    blocks: int,
    draw: random.Random,
) -> tuple[KeyPart, list[Scheduled]]:
    """Draw blocks: scenes permuted within each cycle, the order within each block by itself.

    Args:
        policies: that drive in each block.
        scenes: rows of the table of scenes.
        before: what is scheduled already; a cycle that it left open is finished first.
        blocks: how many.
        draw: the source of chance.
    """
    first = max((row.block for row in before), default=0)
    by_block = {row.block: row.scene for row in before}
    started = first % len(scenes)
    used = {by_block[number] for number in range(first - started + 1, first + 1)}
    cycle = [scene for scene in scenes if scene[SCENE] not in used] if started else []
    draw.shuffle(cycle)
    tickets, rows = {}, []
    taken = {row.ticket for row in before}
    for number in range(first + 1, first + blocks + 1):
        if not cycle:
            cycle = draw.sample(scenes, len(scenes))
        scene = cycle.pop()
        for position, policy in enumerate(draw.sample(policies, len(policies)), start=1):
            ticket = new_ticket()
            while ticket in taken:
                ticket = new_ticket()
            taken.add(ticket)
            tickets[ticket] = policy
            rows.append(
                Scheduled(
                    block=number,
                    position=position,
                    scene=scene[SCENE],
                    instruction=scene[INSTRUCTION],
                    ticket=ticket,
                    key="",
                )
            )
    # Sorted, so that the order of the key tells nothing of the order of the drives.
    part = KeyPart(salt=secrets.token_hex(16), policies=dict(sorted(tickets.items())))
    digest = part.digest(rows)
    return part, [row.model_copy(update={"key": digest}) for row in rows]


def trial_of(name: str) -> TrialDesign:
    """Return a trial of config.yaml.

    Raises:
        UserError: there is none of this name.
    """
    trials = read_project(Path("config.yaml")).trials
    if name not in trials:
        known = f"expected {' or '.join(trials)}" if trials else "there are none yet"
        raise UserError(f"config.yaml (trials): has no trial {name!r}; {known}")
    return trials[name]


def policy_folder(policy: str) -> Path:
    """Return the folder of a policy, EXPERIMENT/RUN."""
    experiment, _, run = policy.partition("/")
    return TrainingFiles.below(RESULTS, experiment=experiment, run=run).policy.parent


def digests_of(trial: TrialDesign) -> dict[str, str | None]:
    """Return the digest of each policy of a trial; None of one that is not trained."""
    folders = {policy: policy_folder(policy) for policy in trial.policies}
    return {
        policy: policy_digest(folder) if (folder / "policy.json").is_file() else None
        for policy, folder in folders.items()
    }


def read_scenes(path: Path) -> list[dict[str, str]]:
    """Read the table of scenes.

    Raises:
        UserError: it cannot be read, or lacks a name or an instruction; all problems together.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(line, row) for line, row in _numbered(file) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); expected a CSV file in UTF-8 with the columns "
            f"{SCENE} and {INSTRUCTION}"
        ) from None
    heading = [cell.strip() for cell in rows[0][1]] if rows else []
    if not {SCENE, INSTRUCTION} <= set(heading) or len(set(heading)) < len(heading):
        raise UserError(
            f"{path}:1: found the columns {', '.join(heading) or 'none'}, expected {SCENE}, "
            f"{INSTRUCTION} and others for the sheet, each once"
        )
    wrong: list[Problem] = []
    scenes: list[dict[str, str]] = []
    seen: dict[str, int] = {}
    for line, row in rows[1:]:
        cells = [" ".join(cell.split()) for cell in row]
        if len(cells) != len(heading):
            found = f"{len(cells)} cells"
            wrong.append(Problem(f"{path}:{line}", found, f"{len(heading)}, as the heading has"))
            continue
        scene = dict(zip(heading, cells, strict=True))
        for name in (SCENE, INSTRUCTION):
            if not scene[name]:
                wrong.append(Problem(f"{path}:{line}", f"no {name}", "one in each line"))
        if scene[SCENE] in seen:
            found = f"{scene[SCENE]!r}, which stands in line {seen[scene[SCENE]]}, too"
            wrong.append(Problem(f"{path}:{line}", found, "each scene once"))
        seen.setdefault(scene[SCENE], line)
        scenes.append(scene)
    if not rows[1:] or len(rows) > MOST_SCENES:
        wrong.append(Problem(str(path), f"{len(rows[1:])} scenes", f"1 to {MOST_SCENES}"))
    if wrong:
        raise Problems("the table of scenes cannot be used", wrong)
    return scenes


def _numbered(file: object) -> list[tuple[int, list[str]]]:
    """Return the rows of a CSV file, each with the line that it begins in."""
    reader, found, line = csv.reader(file, strict=True), [], 1  # type: ignore[arg-type]
    for row in reader:
        found.append((line, row))
        line = reader.line_num + 1
    return found
