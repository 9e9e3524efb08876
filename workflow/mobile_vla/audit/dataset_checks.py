"""Check a dataset as a whole, by the episodes that are used, and what it gives each experiment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mobile_vla.audit.coverage import CELL_KEYS, coverage, shared_sequences
from mobile_vla.audit.episode_checks import actions_of
from mobile_vla.audit.findings import SetCheck, of_dataset, some
from mobile_vla.audit.peer_checks import FEW, LEANS, SEEN, lean, strong_colors_of
from mobile_vla.audit.result import Finding, WindowYield
from mobile_vla.config.audit import AuditedExperiment, Declared
from mobile_vla.config.windows import Windows
from mobile_vla.conventions import ACTION_COLUMNS, KNOWN_VALUES
from mobile_vla.data.prompts import lacks, needs, prompt_values, render, sides_with_same_prompt
from mobile_vla.ingest.result import VIDEO_CODEC, EpisodeFacts
from mobile_vla.sentence import say, verbatim

SAME_SEQUENCE = 0.5  # share of episodes with one action sequence that is worth a warning
THIN = 3  # episodes that a cell needs to be in train, validation and test


def constant_dimension(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """Each predicted dimension varies, and each that varies is predicted."""
    if not every:
        return
    actions = np.concatenate([actions_of(facts) for facts in every])  # (rows, 3)
    for index, name in enumerate(ACTION_COLUMNS):
        values = actions[:, index]
        if name in declared.actions.dimensions and np.ptp(values) == 0:
            yield of_dataset(
                "constant_dimension",
                f"actions, {name}",
                found=say("always {value:g}", value=values[0]),
                expected=say("a velocity that varies"),
                remedy=say(
                    "take {name} out of `actions.dimensions`: it makes every error look small",
                    name=name,
                ),
            )
        if name not in declared.actions.dimensions and values.any():
            yield of_dataset(
                "unused_dimension",
                f"actions, {name}",
                found=say(
                    "not zero in {share:.1%} of the frames, and not predicted",
                    share=np.mean(values != 0),
                ),
                expected=say("all velocities that the robot needs among `actions.dimensions`"),
                remedy=say(
                    "add {name} to `actions.dimensions`, or know that it is ignored", name=name
                ),
            )


def same_sequence(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Drives differ; else replaying the most frequent actions scores well without any picture."""
    for side, shared in shared_sequences(every).items():
        count, total = shared.episodes, shared.of
        if total >= FEW and count / total >= SAME_SEQUENCE:
            yield of_dataset(
                "same_sequence",
                f"actions, side {side}",
                found=say(
                    "{count} of {total} episodes ({share:.0%}) have the same actions",
                    count=count,
                    total=total,
                    share=count / total,
                ),
                expected=say("less than {share:.0%}", share=SAME_SEQUENCE),
                remedy=say(
                    "vary the scenes: a policy that replays this sequence scores as well as one "
                    "that looks"
                ),
            )


def empty_cells(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Every combination of side, distance and style was recorded."""
    counts = {tuple(entry.cell.values()): entry.episodes for entry in coverage(every)}
    seen = {
        key: {cell[place] for cell, count in counts.items() if count}
        for place, key in enumerate(CELL_KEYS)
    }
    for key in CELL_KEYS:
        absent = [value for value in KNOWN_VALUES[key] if value not in seen[key]]
        if absent and seen[key] & set(KNOWN_VALUES[key]):
            yield of_dataset(
                "missing_side" if key == "side" else "missing_scenario",
                f"coverage, {key}",
                found=say("no episode with {key} {values}", key=key, values=absent),
                expected=verbatim(", ".join(KNOWN_VALUES[key])),
                remedy=say("record some, or make no claim about them"),
            )
    within = {
        cell: count
        for cell, count in counts.items()
        if all(value in seen[key] for key, value in zip(CELL_KEYS, cell, strict=True))
    }
    for cell, count in within.items():
        if count == 0 and "unknown" not in cell:
            yield of_dataset(
                "empty_cell",
                f"coverage, {' '.join(cell)}",
                found=say("no episode"),
                expected=say("some, as in the other combinations"),
                remedy=say("record some, or make no claim about this combination"),
            )
    thin = [cell for cell, count in within.items() if 0 < count < THIN]
    if thin:
        yield of_dataset(
            "thin_cells",
            "coverage",
            found=say(
                "{n} of {all} combinations have fewer than {least} episodes",
                n=len(thin),
                all=len(within),
                least=THIN,
            ),
            expected=say("{least} or more, one each for training, validation and test", least=THIN),
            remedy=say("record more, or stratify the split by fewer keys"),
        )


def probable_bgr(every: Sequence[EpisodeFacts], declared: Declared) -> Iterator[Finding]:
    """The pictures are warmer than they are cool; otherwise they are probably BGR read as RGB."""
    frames = sum(facts.frames for facts in every)
    if declared.color_settled or not frames:
        return
    red, blue = (
        sum(facts.frames * getattr(strong_colors_of(facts), color) for facts in every) / frames
        for color in ("red", "blue")
    )
    leans = Counter(color for facts in every if (color := lean(facts)) is not None)
    if blue >= SEEN and blue >= LEANS * red and leans["blue"] > leans["red"]:
        yield of_dataset(
            "probable_bgr",
            "images",
            found=say(
                "{blue:.1%} of the lower halves are clearly blue, {red:.1%} clearly red; so it is "
                "in {n} of {all} episodes",
                blue=blue,
                red=red,
                n=leans["blue"],
                all=len(every),
            ),
            expected=say(
                "more red than blue before a robot: wood, cardboard, soil and skin are warm"
            ),
            remedy=say(
                "look at the pictures and settle it by `images: {{color: bgr}}`, or by `images: "
                "{{color: rgb}}` if blue is right"
            ),
        )


def video_images(every: Sequence[EpisodeFacts], _: Declared) -> Iterator[Finding]:
    """Pictures are those of the camera; what a video keeps of them is less."""
    codecs = Counter(str(codec) for facts in every if (codec := facts.attributes.get(VIDEO_CODEC)))
    if codecs:
        yield of_dataset(
            "video_images",
            "images",
            found=say(
                "the pictures of {n} of {all} episodes come from a video ({codecs}), which is "
                "lossy",
                n=codecs.total(),
                all=len(every),
                codecs=sorted(codecs),
            ),
            expected=say("pictures as the camera gave them"),
            remedy=say(
                "know that fine detail is lost and that a robot's own camera has it; record with "
                "`use_videos=False` if that matters"
            ),
        )


SET_CHECKS: tuple[SetCheck, ...] = (
    constant_dimension,
    same_sequence,
    probable_bgr,
    video_images,
    empty_cells,
)


def window_yields(
    every: Sequence[EpisodeFacts], experiments: Iterable[AuditedExperiment]
) -> list[WindowYield]:
    """Count the windows for each distinct way of cutting them, in the order of config.yaml."""
    names: dict[Windows, list[str]] = defaultdict(list)
    for experiment in experiments:
        names[experiment.windows].append(experiment.name)
    counted = []
    for windows, users in names.items():
        counts = [windows.count(facts.frames) for facts in every]
        too_short = [facts.episode for facts, n in zip(every, counts, strict=True) if not n]
        counted.append(
            WindowYield(
                experiments=tuple(users),
                **windows.model_dump(),
                frames_needed=windows.frames_needed,
                windows=sum(counts),
                episodes=len(every) - len(too_short),
                too_short=tuple(too_short),
            )
        )
    return counted


def short_episodes(
    every: Sequence[EpisodeFacts], counted: Iterable[WindowYield]
) -> Iterator[Finding]:
    """Episodes are long enough for the experiments' window and chunk."""
    for windows in counted:
        if not windows.too_short:
            continue
        place = _place(windows.experiments)
        longest = max(facts.frames for facts in every)
        names = set(windows.too_short)
        too_short = [facts for facts in every if facts.episode in names]
        code, found = (
            "no_windows",
            say("0 windows: all {n} episodes are too short", n=len(every)),
        )
        if windows.episodes:
            code, listed = "too_short", [f"{facts.episode} ({facts.frames})" for facts in too_short]
            found = say(
                "{n} of {all} episodes give no window, {episodes} give {windows}: {names}",
                n=len(too_short),
                all=len(every),
                episodes=windows.episodes,
                windows=windows.windows,
                names=listed,
            )
        yield of_dataset(
            code,
            place,
            found=found,
            expected=say(
                "{frames} frames for window {window} and chunk {chunk} (target: {target}, tail: "
                "{tail})",
                frames=windows.frames_needed,
                window=windows.window,
                chunk=windows.chunk,
                target=windows.target,
                tail=windows.tail,
            ),
            remedy=say(
                "lower window or chunk (the longest episode has {longest} frames), or say "
                "`tail: mask`"
                if windows.tail == "drop"
                else "lower window or chunk (the longest episode has {longest} frames)",
                longest=longest,
            ),
        )
        if not windows.episodes:
            continue
        others = (facts for facts in every if facts.episode not in names)
        for cell in sorted(set(map(_cell, too_short)) - set(map(_cell, others))):
            yield of_dataset(
                "cell_too_short",
                f"{place}, {cell}",
                found=say("all its episodes are too short"),
                expected=say("episodes of each combination that was recorded"),
                remedy=say(
                    "lower window or chunk: else nothing is learnt of this combination, and "
                    "nothing said about it"
                ),
            )


def _cell(facts: EpisodeFacts) -> str:
    return " ".join(facts.scenario[key] or "unknown" for key in CELL_KEYS)


def prompts(
    every: Sequence[EpisodeFacts], experiments: Iterable[AuditedExperiment]
) -> Iterator[Finding]:
    """Prompts can be made for all episodes, and differ where the sides do."""
    users: dict[str, list[AuditedExperiment]] = defaultdict(list)
    for experiment in experiments:
        users[experiment.prompt.canonical()].append(experiment)
    values = [prompt_values(facts) for facts in every]
    for using in users.values():
        prompt = using[0].prompt
        place = f"{_place([experiment.name for experiment in using])}, prompt"
        without = [
            facts.episode
            for facts, value in zip(every, values, strict=True)
            if lacks(prompt, value)
        ]
        if without:
            yield of_dataset(
                "prompt_incomplete",
                place,
                found=say(
                    "{n} of {all} episodes do not say their {keys}: {names}",
                    n=len(without),
                    all=len(every),
                    keys=needs(prompt),
                    names=without,
                ),
                expected=say(
                    "names, or files' own instructions, that fill in {template!r}",
                    template=prompt.template,
                ),
                remedy=say(
                    "rename the files, change the template, or, where the side is missing, leave "
                    "them out with `on_warning: quarantine`"
                ),
            )
            continue
        texts = [render(prompt, value) for value in values]
        sides = sides_with_same_prompt(texts, values)
        if sides is not None:
            yield of_dataset(
                "same_prompt",
                place,
                found=say(
                    "{prompt!r} for all episodes, although their sides differ: {sides}",
                    prompt=render(prompt, values[0]),
                    sides=sides.split(" and the "),
                ),
                expected=say(
                    "prompts that differ where the sides do, or language cannot be learnt"
                ),
                remedy=say("put {{side}} into `prompt.template`"),
            )


def _place(experiments: Sequence[str]) -> str:
    return f"experiment{'s' if len(experiments) > 1 else ''} {some(experiments, 5)}"
