"""What each figure shows, in numbers: its alternative text, and a part of its caption."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.reporting.format import UNIT, count, duration, number, percent, span, words
from mobile_vla.reporting.load import Run, ladders
from mobile_vla.reporting.selection import best_driver, best_run, chosen_episodes, populations
from mobile_vla.reporting.sizes import Sized, sized
from mobile_vla.reporting.verdict import all_scored, scored_on

NAMED = 6  # runs that a sentence names one by one; of more it gives the range


def findings(runs: Sequence[Run]) -> dict[str, str]:
    """Return a text for each figure, by the stem of its file."""
    return {
        "loss_curves": _losses(runs),
        "error_by_dimension": " ".join(_errors(group) for group in populations(runs)),
        "velocity_traces": _traces(best_run(runs)),
        "epoch_time": _times(runs),
        "closed_loop": _driving([run for run in runs if run.rollouts is not None]),
        "speed_ladder": _ladder(runs),
        "error_by_training_size": " ".join(_sizes(own) for own in sized(runs)),
    }


def _losses(runs: Sequence[Run]) -> str:
    fell = []
    for run in runs:
        first, best = run.epochs[0].val_loss, run.training.best_val_loss
        if first and best is not None:
            fell.append((run, first, best))
    if not fell:
        return "No validation loss was measured."
    if len(fell) > NAMED:
        shares = [(best - first) / first for _, first, best in fell]
        change = f"{percent(min(shares), sign=True)} to {percent(max(shares), sign=True)}"
        whose = f"the validation loss of {len(fell)} runs"
        return f"From the first to the best epoch, {whose} changed by {change}."
    parts = [
        f"{run.label} from {number(first)} to {number(best)} "
        f"(epoch {run.training.best_epoch}, {percent((best - first) / first, sign=True)})"
        for run, first, best in fell
    ]
    windows = sorted({run.training.windows.get("val", 0) for run, _, _ in fell})
    n = " or ".join(count(value, "validation window") for value in windows)
    return f"Loss on {n}, from the first to the best epoch: {'; '.join(parts)}."


def _errors(runs: Sequence[Run]) -> str:
    scored = runs[0].evaluation
    maes = [(run.label, run.evaluation.mae) for run in runs]
    if len(maes) > NAMED:
        own = f"{len(maes)} policies {span([mae for _, mae in maes])}"
    else:
        own = ", ".join(f"{label} {number(mae)}" for label, mae in maes)
    lowest = min((run.evaluation.best_baseline for run in runs), key=lambda found: found.mae)
    best = f"{words(lowest.name)} {number(lowest.mae)}"
    steps = f"{count(scored.steps, 'chunk step')} in {scored_on(scored)}"
    return f"Overall MAE in {UNIT}: {own}; best baseline, {best}; n = {steps}."


def _traces(run: Run) -> str:
    parts = [
        f"{kind} {number(episode.mae)} ({episode.episode}, {count(episode.windows, 'window')})"
        for kind, episode in chosen_episodes(run.evaluation.per_episode)
    ]
    whole = f"MAE over whole chunks, in {UNIT}"
    return f"{run.label}, {scored_on(run.evaluation)}: {'; '.join(parts)}; {whole}."


def _driving(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    run = best_driver(runs)
    assert run.rollouts is not None
    parts = [
        f"{name if name != 'policy' else run.label} {percent(own.success.rate)} "
        f"({percent(own.success.low)} to {percent(own.success.high)})"
        for name, own in run.rollouts.drivers.items()
    ]
    where = f"{count(run.rollouts.rollouts, 'rollout')} in {run.rollouts.scenes} unseen scenes"
    return f"Share of successes, with 95 % intervals: {', '.join(parts)}; {where}."


def _sizes(own: Sized) -> str:
    if len({size for size, _ in own.means}) < 2:
        return ""
    parts = [f"{number(mae)} with {count(size, 'training episode')}" for size, mae in own.means]
    where = all_scored([run.evaluation for run in own.runs])
    return f"{own.label}: MAE in {UNIT} {', '.join(parts)}, on {where}."


def _times(runs: Sequence[Run]) -> str:
    if len(runs) > NAMED:
        times = [run.training.avg_epoch_time for run in runs]
        times_span = f"{duration(min(times))} to {duration(max(times))}"
        return f"An epoch takes {times_span}, over {len(runs)} runs."
    parts = [
        f"{run.label} {duration(run.training.avg_epoch_time)} measured, "
        f"{duration(run.timing.seconds_per_epoch)} projected"
        for run in runs
    ]
    return f"Time per epoch: {'; '.join(parts)}."


def _ladder(runs: Sequence[Run]) -> str:
    parts = []
    for run in ladders(runs):
        first, last = run.timing.ladder[0], run.timing.ladder[-1]
        fastest = max(run.timing.ladder, key=lambda rung: rung.speedup)
        text = (
            f"{run.experiment}: an epoch takes {duration(first.seconds_per_epoch)} the plain way "
            f"and {duration(fastest.seconds_per_epoch)} with all up to {fastest.name}, "
            f"{number(fastest.speedup, 2)} times as fast"
        )
        if fastest is not last:
            text += f"; {last.name} makes it {number(last.speedup, 2)} times"
        parts.append(text + ".")
    return " ".join(parts)
