"""What the audit says about the quality of demonstrations: recall of planted faults, false alarms.

    python tests/benchmarks/demonstrations.py            50 seeds, ten minutes of processor time

Each seed is a simulated world of its own: 24 drives with slips, in other light, with a camera's
noise, each recorded until shortly after its arrival. A fault is planted in one of the first 13. Its
recall is the share of seeds in which the finding names that drive, among 13 drives and among 24. A
false alarm is a finding about a drive in which nothing was planted, counted among all such drives.
The limits were chosen on seeds from 1000 on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from mobile_vla.audit.flags import inspect
from mobile_vla.config.audit import CATALOGUE, Declared
from mobile_vla.ingest.result import EpisodeFacts
from support.demonstrations import (
    Demonstration,
    Plant,
    blur,
    compress,
    cut,
    demonstration,
    demonstrations,
    dither,
    elsewhere,
    expose,
    joystick,
    pause,
    shift,
    upside_down,
)
from support.synthetic_datasets import facts_of

SEEDS = 50
SIZES = (13, 24)
PROCESSES = 2

PLANTS: dict[tuple[str, str], Plant] = {
    ("much_idle", "a wait of 8 frames"): pause(8),
    ("much_idle", "a wait of 5 frames"): pause(5),
    ("many_reversals", "left and right in turns, 6 times"): dither(6),
    ("many_reversals", "left and right in turns, 4 times"): dither(4),
    ("other_length", "cut after 9 frames"): cut(9),
    ("other_length", "cut after 13 frames"): cut(13),
    ("blurred", "out of focus, 9 pixels of 1280"): blur(1.5),
    ("blurred", "out of focus, 5 pixels of 1280"): blur(0.9),
    ("blurred_frames", "2 frames out of focus, 9 pixels"): blur(1.5, 2),
    ("blurred_frames", "2 frames out of focus, 5 pixels"): blur(0.9, 2),
    ("clipped_pixels", "twice the light"): expose(2.0),
    ("clipped_pixels", "1.5 times the light"): expose(1.5),
    ("other_brightness", "0.4 times the light"): expose(0.4),
    ("other_brightness", "0.6 times the light"): expose(0.6),
    ("other_pictures", "the camera upside down"): upside_down,
    ("other_pictures", "other surroundings"): elsewhere,
    ("other_command_offset", "pictures a frame late"): shift(-1),
    ("other_command_offset", "pictures a frame early"): shift(1),
    ("near_duplicate", "stored again as JPEG, quality 60"): compress(60),
    ("near_duplicate", "stored again as JPEG, quality 20"): compress(20),
}
"""By code and description."""

OF_SET = {"pictures a frame late in all": shift(-1), "pictures a frame early in all": shift(1)}
TREMORS = {"a joystick's tremor of 0.1 of 1.15": 0.1, "a joystick's tremor of 0.05": 0.05}
AGAIN = {"driven again, 5 cm beside": 0.05, "driven again, 2 cm beside": 0.02}

Found = Counter[tuple[str, str, int]]
"""How often: code, what was planted or "clean", size of the set."""


def codes(every: Sequence[EpisodeFacts], name: str | None = None) -> Counter[str]:
    """Return how many findings there are by code; about one episode, or about all and the set."""
    ordered = sorted(every, key=lambda facts: facts.episode)
    return Counter(
        one.code
        for one in inspect(ordered, Declared())
        if CATALOGUE[one.code].topic == "Demonstrations" and name in (None, one.episode)
    )


def measure(seed: int) -> Found:
    """Return what is detected, and what is reported falsely, in a seed's world."""
    found: Found = Counter()
    rng = np.random.default_rng(seed)
    drives = demonstrations(seed, max(SIZES))
    clean = [drive.facts() for drive in drives]
    victim = int(rng.integers(min(SIZES)))
    for size in SIZES:
        for code, count in codes(clean[:size]).items():
            found[code, "clean", size] += count
    for (code, what), plant in PLANTS.items():
        planted = plant(drives[victim], rng).facts()
        for size in SIZES:
            kept = [facts for facts in clean[:size] if facts.episode != planted.episode]
            found[code, what, size] += bool(codes([*kept, planted], planted.episode)[code])
    for what, plant in OF_SET.items():
        moved = [plant(drive, rng).facts() for drive in drives]
        for size in SIZES:
            found["command_offset", what, size] += codes(moved[:size])["command_offset"]
    for what, beside in AGAIN.items():
        again = demonstration(seed, victim, beside)
        name = again.name.replace("_2025", "_2026", 1)
        twin = replace(again, name=name, camera=1).facts()
        for size in SIZES:
            found["near_duplicate", what, size] += codes([*clean[:size], twin])["near_duplicate"]
    of_joysticks(drives, victim, rng, found)
    return found


def of_joysticks(
    drives: Sequence[Demonstration], victim: int, rng: np.random.Generator, found: Found
) -> None:
    """Count what is said of the same drives by a joystick."""
    calm = [held(drive, joystick(drive.actions, rng)) for drive in drives]
    for size in SIZES:
        found["jerky_commands", "clean", size] += codes(calm[:size])["jerky_commands"]
    for what, tremor in TREMORS.items():
        shaken = held(drives[victim], joystick(drives[victim].actions, rng, tremor))
        for size in SIZES:
            kept = [facts for facts in calm[:size] if facts.episode != shaken.episode]
            detected = codes([*kept, shaken], shaken.episode)["jerky_commands"]
            found["jerky_commands", what, size] += bool(detected)


def held(drive: Demonstration, actions: np.ndarray) -> EpisodeFacts:
    """Return facts with other commands, whose pictures do not matter."""
    return facts_of(drive.name, len(actions), actions=actions.tolist())


def main() -> None:
    """Print both tables."""
    total: Found = Counter()
    with ProcessPoolExecutor(PROCESSES) as pool:
        for found in pool.map(measure, range(SEEDS)):
            total.update(found)
    small, large = SIZES
    print(f"| finding | planted in one drive | detected among {small} drives | among {large} |")
    print("| --- | --- | --- | --- |")
    rows = [
        *PLANTS,
        *(("jerky_commands", what) for what in TREMORS),
        *(("command_offset", what) for what in OF_SET),
    ]
    for code, what in rows:
        shares = (f"{100 * total[code, what, size] / SEEDS:.0f} %" for size in SIZES)
        print(f"| `{code}` | {what} | {' | '.join(shares)} |")
    print(f"\n| finding | false alarms among {SEEDS} × {small} drives | of {SEEDS} × {large} |")
    print("| --- | --- | --- |")
    for code in dict.fromkeys(code for code, _ in rows):
        print(f"| `{code}` | {' | '.join(str(total[code, 'clean', size]) for size in SIZES)} |")
    for what in AGAIN:
        counts = (f"{total['near_duplicate', what, size]} of {SEEDS}" for size in SIZES)
        print(f"| `near_duplicate`, {what} | {' | '.join(counts)} |")


if __name__ == "__main__":
    main()
