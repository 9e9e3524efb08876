"""Advice on how experiments are trained: prompts, windows, epochs, sweeps, memory and time."""

from __future__ import annotations

import math

from mobile_vla.config.windows import Windows
from mobile_vla.reporting.advice.facts import Advice, Facts, config_lines
from mobile_vla.reporting.advice.recording import A_CELL
from mobile_vla.reporting.format import duration, number, percent, size

EARLIEST = 4  # epochs, below which a curve says nothing
CHANGE = 0.05  # share of the validation loss that counts as falling, or as rising again
FEW_WINDOWS = 0.6  # of those that the same episodes could give
NEARLY_FULL = 0.9  # share of the memory limit
LONG = 3600.0  # seconds of a training


def language(facts: Facts) -> Advice | None:
    """What lets a policy learn its prompt, where it was given nothing to learn from."""
    for run in facts.first_runs:
        own = facts.datasets.get(run.settings.dataset)
        if run.language.verdict != "language ignored" or own is None:
            continue
        cells = own.audit.coverage
        sides = {
            side: sum(each.episodes for each in cells if each.cell.get("side") == side)
            for side in ("left", "right")
        }
        said = {"name": run.experiment, **sides}
        absent = [side for side, episodes in sides.items() if not episodes]
        if len(absent) == 1:
            more = max(max(sides.values()), A_CELL)
            return Advice(
                facts.t("advice.one_side", side=facts.t.words(absent[0])),
                facts.t("advice.one_side.why", **said),
                facts.t("advice.more", what=absent[0], n=more),
            )
        if len(set(run.language.prompts["right"])) == 1 and not absent:
            prompt = run.language.prompts["right"][0]
            return Advice(
                facts.t("advice.one_prompt"),
                facts.t("advice.one_prompt.why", **said, prompt=prompt),
                config_lines(
                    "experiments",
                    run.experiment,
                    prompt={"template": f"{prompt} on the {{side}} side"},
                ),
            )
    return None


def match(facts: Facts) -> Advice | None:
    """As many optimiser steps for each combination of a sweep."""
    for sweep in facts.sweeps:
        if len(sweep.steps) > 1 and sweep.may_match and not sweep.matched:
            return Advice(
                facts.t("advice.match", name=sweep.name),
                facts.t(
                    "advice.match.why", name=sweep.name, low=sweep.steps[0], high=sweep.steps[-1]
                ),
                config_lines("experiments", sweep.name, match="optimizer_steps"),
            )
    return None


def windows(facts: Facts) -> Advice | None:
    """Windows at both ends of the episodes, where few lie wholly within them."""
    for own in facts.datasets.values():
        for each in own.audit.windows:
            setting = Windows.model_validate(
                each.model_dump(include={"window", "chunk", "stride", "target", "start", "tail"})
            )
            full = setting.model_copy(update={"start": "repeat", "tail": "mask"})
            possible = sum(full.count(episode.frames) for episode in own.manifest.episodes)
            if each.windows >= FEW_WINDOWS * possible:
                continue
            changed = {
                name: getattr(full, name)
                for name in ("start", "tail")
                if getattr(full, name) != getattr(setting, name)
            }
            return Advice(
                facts.t("advice.windows", name=facts.names(each.experiments)),
                facts.t(
                    "advice.windows.why",
                    windows=facts.t.count(each.windows, "window"),
                    possible=possible,
                    frames=setting.frames_needed,
                ),
                "\n".join(
                    config_lines("experiments", name, **changed) for name in each.experiments[:1]
                ),
            )
    return None


def epochs(facts: Facts) -> Advice | None:
    """More epochs where the validation loss still falls, fewer where it rises again."""
    falling, rising = [], []
    for run in facts.first_runs:
        losses = [epoch.val_loss for epoch in run.epochs]
        if len(losses) < EARLIEST or run.training.driven is not None:
            continue  # too short, or another measure chooses the epoch
        before = losses[-1 - math.ceil(len(losses) / 4)]
        best = min(losses)
        if losses[-1] == best and losses[-1] < (1 - CHANGE) * before:
            falling.append((run, before))
        elif losses[-1] > (1 + CHANGE) * best:
            rising.append((run, best))
    for kind, found in (("falling", falling), ("rising", rising)):
        if not found:
            continue
        run, since = found[0]
        last, planned = run.epochs[-1].val_loss, len(run.epochs)
        changed: dict[str, object] = (
            {"epochs": 2 * planned}
            if kind == "falling"
            else {"early_stopping": {"patience": max(math.ceil(planned / 5), 2)}}
        )
        return Advice(
            facts.t(f"advice.{kind}", name=facts.names([run.experiment for run, _ in found])),
            facts.t(
                f"advice.{kind}.why",
                name=run.experiment,
                since=number(since),
                last=number(last),
                epoch=run.training.best_epoch,
                n=planned,
                epochs=math.ceil(planned / 4),
            ),
            config_lines("experiments", run.experiment, training=changed),
        )
    return None


def cost(facts: Facts) -> Advice | None:
    """Less memory, or less waiting, where the timing measured too much of it."""
    for run in facts.first_runs:
        timing = run.timing
        limit, used = timing.memory.limit_gb, timing.memory.measured
        if limit and used >= NEARLY_FULL * limit * 1e9:
            settings = run.settings.settings["training"]
            checkpointed = settings.get("gradient_checkpointing", False)
            batch = settings["batch_size"]
            if checkpointed and batch < 2:
                continue
            changed: dict[str, object] = (
                {"batch_size": batch // 2, "accumulation": 2 * settings.get("accumulation", 1)}
                if checkpointed
                else {"gradient_checkpointing": True}
            )
            return Advice(
                facts.t("advice.memory", name=run.experiment),
                facts.t("advice.memory.why", used=size(used), limit=size(int(limit * 1e9))),
                config_lines("experiments", run.experiment, training=changed),
            )
        slow = timing.precision == "fp32" and timing.projected_seconds >= LONG
        if timing.device.startswith("cuda") and slow and not timing.contended:
            return Advice(
                facts.t("advice.precision", name=run.experiment),
                facts.t(
                    "advice.precision.why",
                    time=duration(timing.projected_seconds),
                    share=percent(timing.share_of_matrix_rate),
                ),
                config_lines("experiments", run.experiment, training={"precision": "auto"}),
            )
    return None
