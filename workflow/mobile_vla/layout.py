"""Every path below ``results/``, once: the files of datasets, backbones, runs and the report.

A class holds the files that one command writes, with names in braces that tell one such set of
files from another: Snakemake's rules take them as patterns, commands and report fill them in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mobile_vla.filesets import RESULTS, Files, place

TIMED = ("timing.json", "timing.html", "latency.json", "training_results.json", "certificate.json")
"""Names of the files that hold measured times, beside provenance."""


def holds_times(path: Path) -> bool:
    """Whether a file differs from run to run, since it says when or how long."""
    return path.name in TIMED or path.name.endswith(".provenance.json")


def kinds(kind: type[Files] = Files) -> Iterator[type[Files]]:
    """Yield the classes of files, each a command's."""
    for derived in kind.__subclasses__():
        yield derived
        yield from kinds(derived)


def kind_of(path: Path, results: Path = RESULTS) -> tuple[type[Files], dict[str, str]] | None:
    """Return the class of a file or of a provenance, and the names in its path; None for others."""
    for kind in kinds():
        for pattern in kind.patterns():
            # of the names in braces a path may have any
            alike = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(str(results / pattern)))
            if (match := re.fullmatch(alike, str(path))) is not None:
                return kind, match.groupdict()
    return None


@dataclass(frozen=True)
class RawFiles(Files):
    """A raw episode that was made here: simulated, or imported from images in Parquet files."""

    LOG = "raw/{dataset}/{episode}.log"

    raw: Path = Path("datasets/{dataset}/raw/{episode}.h5")
    """The episode as the robot's collector writes it: `images` (T, H, W, 3) uint8, `actions` (T, 3)
    float32, `action_event_types` (T,) text, `language_instruction` (1,) text, and attributes; the
    attribute `scene` of a simulated one makes both sides of a scene one group."""
    digest: Path = Path("datasets/{dataset}/raw/{episode}.json")
    """Its SHA-256 and size."""


@dataclass(frozen=True)
class EpisodeFiles(Files):
    """What ``ingest`` makes of one raw episode, and ``import_videos`` of one in a video.

    A job decodes several episodes of a video, and its provenance lies beside the first.
    """

    LOG = "ingest/{dataset}/{episode}.log"

    facts: Path = Path("datasets/{dataset}/episodes/{episode}.json")
    """All of the episode but its frames, and what makes it unusable."""
    frames: Path = Path("datasets/{dataset}/episodes/{episode}.npy")
    """(T, 224, 224, 3) uint8, RGB; no rows for a rejected episode."""


@dataclass(frozen=True)
class ManifestFiles(Files):
    """Which episodes of a dataset are used."""

    LOG = "manifest/{dataset}.log"

    manifest: Path = Path("datasets/{dataset}/manifest.json")
    """The episodes that are used, in order, and those that are not, with the reasons."""
    actions: Path = Path("datasets/{dataset}/actions.npy")
    """(rows, 3) float32 in command units."""


@dataclass(frozen=True)
class SplitFiles(Files):
    """Which episodes of a dataset train, select and are scored."""

    LOG = "split/{dataset}.log"

    split: Path = Path("datasets/{dataset}/split.json")


@dataclass(frozen=True)
class FlagFiles(Files):
    """Which episodes of a dataset have warnings."""

    LOG = "flags/{dataset}.log"

    flags: Path = Path("datasets/{dataset}/flags.json")


@dataclass(frozen=True)
class DataAuditFiles(Files):
    """The part of a dataset's audit that no experiment takes part in."""

    LOG = "audit_data/{dataset}.log"

    data: Path = Path("datasets/{dataset}/audit_data.json")


@dataclass(frozen=True)
class AuditFiles(Files):
    """What is wrong or odd about a dataset, and about what the experiments ask of it."""

    LOG = "audit/{dataset}.log"

    report: Path = Path("datasets/{dataset}/audit.json")
    page: Path = Path("datasets/{dataset}/audit.html")
    """The same for people."""


@dataclass(frozen=True)
class BackboneFiles(Files):
    """A backbone."""

    LOG = "backbone/{backbone}.log"

    description: Path = Path("backbones/{backbone}/backbone.json")
    """Where its checkpoint lies, and the digests of its files."""

    @staticmethod
    def weights(results: Path = RESULTS, **names: str) -> str:
        """Return the weights of a backbone that was drawn here."""
        return str(place(results, "backbones/{backbone}/model.safetensors", names))


@dataclass(frozen=True)
class FeatureFiles(Files):
    """The frozen prefix's output over a dataset."""

    LOG = "features/{dataset}/{backbone}/{cut}-{key}.log"

    features: Path = Path("features/{dataset}/{backbone}/{cut}-{key}.npy")
    """(rows, image tokens, D) at `image_embeds`, (rows, tokens, D) at `hidden_states`, (rows, D) at
    `readout`, none at `pixels`; float32, or bfloat16 as uint16. Mirror images have a file of their
    own, row by row the same frames."""
    description: Path = Path("features/{dataset}/{backbone}/{cut}-{key}.json")
    """Its shape, number format and digest, and what it depends on."""

    @property
    def kept(self) -> KeptRows:
        """What the next run copies."""
        name = f".{self.features.stem}.rows"
        return KeptRows(*(self.features.with_name(name + end) for end in (".npy", ".json")))


@dataclass(frozen=True)
class KeptRows(Files):
    """The features once more, for the next run of their rule, which declares neither file."""

    LOG = FeatureFiles.LOG

    rows: Path = Path("features/{dataset}/{backbone}/.{cut}-{key}.rows.npy")
    """A hard link of the features' file; where the file system has no links, a copy."""
    index: Path = Path("features/{dataset}/{backbone}/.{cut}-{key}.rows.json")
    """What each episode's rows were computed from."""


@dataclass(frozen=True)
class TrainingFiles(Files):
    """What a run's training leaves behind."""

    PROVENANCE = "experiments/{experiment}/{run}/training.provenance.json"
    LOG = "train/{experiment}/{run}.log"

    policy: Path = Path("experiments/{experiment}/{run}/policy/policy.json")
    """The best policy's description, written last. Beside it: `head.safetensors` (head and action
    token), `adapter_model.safetensors` and `adapter_config.json` for LoRA, and
    `backbone.safetensors` for full fine-tuning. Beside the folder: `snapshots/` with `keep_every`,
    `tensorboard/`, and `.work/` until the run is done."""
    last: Path = Path("experiments/{experiment}/{run}/last/policy.json")
    """The same after the last epoch."""
    metrics: Path = Path("experiments/{experiment}/{run}/metrics.csv")
    """A line an epoch."""
    results: Path = Path("experiments/{experiment}/{run}/training_results.json")
    """What the run came to, and how long it took."""


@dataclass(frozen=True)
class TimingFiles(Files):
    """How long an experiment's epoch takes."""

    LOG = "timing/{experiment}.log"

    timing: Path = Path("experiments/{experiment}/timing.json")
    page: Path = Path("experiments/{experiment}/timing.html")
    """The same for people."""


@dataclass(frozen=True)
class EvaluationFiles(Files):
    """A run's scores."""

    LOG = "evaluate/{experiment}/{run}.log"

    evaluation: Path = Path("experiments/{experiment}/{run}/evaluation.json")
    predictions: Path = Path("experiments/{experiment}/{run}/predictions.npz")
    """N scored windows with chunks of C actions: `episode` (N,) text, `last_frame` (N,), `ahead`
    (C,) frames from the window's last one to each step, `frame` (N, C), `mask` (N, C); and in
    command units (N, C, A) float32 `truth`, `prediction`, `baseline_NAME` and `control_NAME`."""


@dataclass(frozen=True)
class OtherEvaluationFiles(EvaluationFiles):
    """A run's scores on another dataset, or on one of its mixture's datasets by itself."""

    LOG = "evaluate/{experiment}/{run}/on/{dataset}.log"

    evaluation: Path = Path("experiments/{experiment}/{run}/on/{dataset}/evaluation.json")
    predictions: Path = Path("experiments/{experiment}/{run}/on/{dataset}/predictions.npz")


@dataclass(frozen=True)
class RolloutFiles(Files):
    """A run's policy in closed loop."""

    LOG = "rollout/{experiment}/{run}.log"

    rollouts: Path = Path("experiments/{experiment}/{run}/rollouts.json")
    paths: Path = Path("experiments/{experiment}/{run}/rollouts.npz")
    """N rollouts: `scene` (N,), `side` (N,) text, `box` (N, 4) x, y, depth and width, `target`
    (N, 2), in metres; for each driver `DRIVER_poses` (N, T, 2) in metres, NaN after the end, and
    `DRIVER_outcome` (N,) text; of S film strips `strip_rollout` (S,), `strip_frame` (S, 6) and
    `strip` (S, 6, 112, 112, 3) uint8."""


@dataclass(frozen=True)
class CardFiles(Files):
    """The model card of a run's best policy, in the report's language."""

    PROVENANCE = "experiments/{experiment}/{run}/card.provenance.json"
    LOG = "card/{experiment}/{run}.log"

    card: Path = Path("experiments/{experiment}/{run}/policy/README.md")
    """Scores, use, data and limits; before them metadata as the Hugging Face Hub reads them, which
    are the same in all languages. No digest covers it, so that it may be edited."""


@dataclass(frozen=True)
class LanguageFiles(Files):
    """A run's policy under other prompts."""

    LOG = "language/{experiment}/{run}.log"

    language: Path = Path("experiments/{experiment}/{run}/language.json")


@dataclass(frozen=True)
class LatencyFiles(Files):
    """How long an experiment's control step takes."""

    LOG = "latency/{experiment}.log"

    latency: Path = Path("experiments/{experiment}/latency.json")


@dataclass(frozen=True)
class BundleFiles(Files):
    """A run's policy as a folder that runs without PyTorch."""

    PROVENANCE = "experiments/{experiment}/{run}/bundle/{precision}.provenance.json"
    LOG = "bundle/{experiment}/{run}/{precision}.log"

    description: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/bundle.json")
    """What the policy takes and answers, and the digests of the other files."""
    encoder: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/encoder.onnx")
    """`frame` (1, 224, 224, 3) uint8 RGB and `prompt` (1, T, D) float32 to `readout` (1, D)."""
    weights: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/encoder.data")
    """The encoder's weights."""
    head: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/head.onnx")
    """`readouts` (1, W, D), oldest first, to `actions` (1, C, A) in raw command units."""
    prompts: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/prompts.npz")
    """For each of `bundle.json`'s prompts `promptN` (T, D) float32: the vectors behind the image,
    the action token's last."""
    probe: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/probe.npz")
    """`pictures` (N, H, W, 3) uint8 RGB; for each of S steps its `picture` (S,), `prompt` (S,) and
    whether a drive `begins` (S,) with it; `actions` (S, C, A), what PyTorch answers, or in int8
    what this bundle answered where it was made."""
    modules: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/modules.zip")
    """The Python modules that `run.py` imports, the server among them."""
    program: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/run.py")
    """Predicts, serves and certifies: `python run.py --help`."""


@dataclass(frozen=True)
class CertificateFiles(Files):
    """What a bundle was found to do."""

    PROVENANCE = "experiments/{experiment}/{run}/bundle/{precision}.certificate.provenance.json"
    LOG = "bundle/{experiment}/{run}/{precision}.certificate.log"

    certificate: Path = Path("experiments/{experiment}/{run}/bundle/{precision}/certificate.json")
    """Of a bundle that failed there is a file `FAILED.txt` beside it, with the reasons."""


@dataclass(frozen=True)
class TrialFiles(Files):
    """What the drives of a blind trial prove."""

    LOG = "trials/{trial}.log"

    trial: Path = Path("trials/{trial}/trials.json")


@dataclass(frozen=True)
class ComparisonFiles(Files):
    """All experiments on the steps that all of them predict."""

    LOG = "compare.log"

    comparison: Path = Path("comparison.json")


@dataclass(frozen=True)
class FigureFiles(Files):
    """A figure in its formats."""

    PROVENANCE = "figures/figures.provenance.json"
    LOG = "figures.log"

    svg: Path = Path("figures/{figure}.svg")
    pdf: Path = Path("figures/{figure}.pdf")
    png: Path = Path("figures/{figure}.png")


@dataclass(frozen=True)
class TableFiles(Files):
    """A table in its formats."""

    PROVENANCE = "tables/tables.provenance.json"
    LOG = "tables.log"

    csv: Path = Path("tables/{table}.csv")
    """With all digits."""
    latex: Path = Path("tables/{table}.tex")
    """For a paper; some tables have none."""


@dataclass(frozen=True)
class CaptionFiles(Files):
    """What the figures say of themselves."""

    PROVENANCE = FigureFiles.PROVENANCE
    LOG = FigureFiles.LOG

    captions: Path = Path("figures/captions.json")
    """Title, caption and alternative text of each figure."""


@dataclass(frozen=True)
class ReportFiles(Files):
    """The report's page."""

    LOG = "page.log"

    report: Path = Path("report.html")


@dataclass(frozen=True)
class CrateFiles(Files):
    """The report for an archive."""

    LOG = "crate.log"

    crate: Path = Path("report.crate.zip")
    """A Workflow Run RO-Crate: report, tables, results that it shows, settings and provenance."""


@dataclass(frozen=True)
class PartialFiles(Files):
    """The page of the runs that have finished.

    Its comparison and figures lie beside it, as those of the whole report lie below the results.
    """

    LOG = "partial_report.log"

    report: Path = Path("partial/report.html")
