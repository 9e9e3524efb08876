"""Manifest, split, audit and frames of a synthetic dataset, such as the stages write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobile_vla.audit.result import (
    Audit,
    CoveredCell,
    EpisodeCounts,
    Finding,
    FindingTotals,
    Thumbnail,
)
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.data.result import (
    CellCounts,
    DatasetSplit,
    Episode,
    Fold,
    Manifest,
    Quarantined,
    SplitBasis,
)
from mobile_vla.files import digest_of
from mobile_vla.ingest.result import Defect
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.layout import (
    AuditFiles,
    EpisodeFiles,
    ManifestFiles,
    SplitFiles,
)
from mobile_vla.result import FileDigest
from mobile_vla.sentence import say, verbatim
from support.training_results import (
    FRAMES,
)


def write_dataset(
    results: Path, scored_on: str, tested: int = 12
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Write manifest, split and audit of 30 episodes; return all actions and the roles.

    Of 12 episodes that are not trained on, the first ``tested`` are test episodes.
    """
    rng = np.random.default_rng(7)
    names = [
        f"episode_202511{1 + i // 2:02d}_1200{i % 2:02d}_1box_hori_"
        f"{('left', 'right')[i % 2]}_core_{('close', 'medium', 'far')[i // 2 % 3]}"
        for i in range(30)
    ]
    actions = []
    for i in range(len(names)):
        turn, back = rng.integers(3, 8), rng.integers(10, 17)
        x = np.where((np.arange(FRAMES) > 0) & (np.arange(FRAMES) < 18), 1.15, 0.0)
        y = np.where((np.arange(FRAMES) >= turn) & (np.arange(FRAMES) < back), 1.15, 0.0)
        actions.append(np.stack([x, y * (1 - 2 * (i % 2))], axis=1))
    bounds = (15, 18) if scored_on == "test" else (18, 30)
    roles = {
        "train": names[: bounds[0]],
        "val": names[bounds[0] : bounds[1]],
        "test": names[bounds[1] :][:tested],
    }
    data = ManifestFiles.below(results, dataset="demo")
    defect = Defect(
        code="truncated",
        place="images, frame 12",
        found=say("cut off after {size:,} bytes", size=4096),
        expected=say("a file as long as it says itself"),
        remedy=say("copy the file again from where it was recorded"),
    )
    broken = "episode_20251113_090000_1box_vert_left_core_far"
    values = np.concatenate(actions).astype(np.float32)
    data.actions.parent.mkdir(parents=True, exist_ok=True)
    np.save(data.actions, np.pad(values, ((0, 0), (0, 1))))  # angular_z
    frames_sha256 = _frames(results, names)
    manifest = Manifest(
        dataset="demo",
        rows=FRAMES * len(names),
        digest=digest_of(names),
        episodes=tuple(
            Episode(
                episode=name,
                frames=FRAMES,
                scenario=parse_scenario(name),
                group=name,
                instruction=None,
                raw_sha256=digest_of(["raw", name]),
                frames_sha256=frames_sha256,
                actions_sha256=digest_of(["actions", name]),
            )
            for name in names
        ),
        quarantined=(Quarantined(episode=broken, file="raw/x.h5", errors=(defect,), warnings=()),),
        actions_file=FileDigest.of(data.actions),
    )
    manifest.write(data.manifest)
    cells = tuple(
        CellCounts(
            cell={"side": "left+right", "distance": distance},
            **{role: sum(name.endswith(distance) for name in roles[role]) for role in roles},
        )
        for distance in ("close", "medium", "far")
    )
    fold = Fold(held_out=None, roles=roles, unused=(), cells=cells)
    shares = {"kind": "holdout", "train": 0.7, "val": 0.15, "test": 0.15}
    basis = SplitBasis(seed=0, stratify_by=("side", "distance"), **shares)
    DatasetSplit(dataset="demo", settings=basis, folds=(fold,)).write(
        SplitFiles.below(results, dataset="demo").split
    )
    findings = (
        Finding(
            severity="error",
            episode=broken,
            file="raw/x.h5",
            frames=(),
            accepted=None,
            **dict(defect),
        ),
        Finding(
            code="side_sign",
            severity="warning",
            episode=names[3],
            file=f"raw/{names[3]}.h5",
            place="actions[:, 1]",
            frames=(),
            found=say(
                "mean {mean:+.3f} in an episode that passes on the {side}", mean=0.31, side="right"
            ),
            expected=say("a negative mean: y points to the left"),
            remedy=verbatim("linear_y & the file's <name>"),
            accepted=None,
        ),
        Finding(
            code="black_frames",
            severity="warning",
            episode=names[4],
            file=f"raw/{names[4]}.h5",
            place="images, frame 3",
            frames=(3,),
            found=say("{n} of {all} frames are {what}", n=1, all=20, what=say("black")),
            expected=say("the scene before the robot"),
            remedy=say("look at the camera's recording; leave the episode out if it is useless"),
            accepted="the lamp failed, and the robot saw that too",
        ),
    )
    pixel = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    report = Audit(
        dataset="demo",
        episodes=31,
        totals=FindingTotals(error=1, warning=1, info=0, accepted=1),
        findings=findings,
        windows=(),
        coverage=tuple(
            CoveredCell(
                cell={"side": side, "distance": distance, "style": style},
                episodes=5 if style == "core" else 0,
            )
            for side in ("left", "right")
            for distance in ("close", "medium", "far")
            for style in ("core", "variant")
        ),
        statistics=EpisodeCounts(usable=30, rejected=1, flagged=0),
        thumbnails=(
            Thumbnail(
                code="black_frames",
                episode=names[4],
                frame=3,
                swapped=False,
                image=pixel,
            ),
        ),
    )
    report.write(AuditFiles.below(results, dataset="demo").report)
    return values, roles


def _frames(results: Path, names: Sequence[str]) -> str:
    """Write the same frames for all episodes, as one file with many names; return their digest."""
    first, *others = (
        EpisodeFiles.below(results, dataset="demo", episode=name).frames for name in names
    )
    first.parent.mkdir(parents=True, exist_ok=True)
    shades = np.linspace(40, 200, FRAMES).astype(np.uint8)
    frames = np.broadcast_to(shades[:, None, None, None], (FRAMES, *FRAME_SHAPE))
    np.save(first, frames)
    for other in others:
        other.unlink(missing_ok=True)
        other.hardlink_to(first)
    return FileDigest.of(first).sha256
