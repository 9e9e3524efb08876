"""The page of one experiment's timing."""

from __future__ import annotations

from collections.abc import Sequence

from mobile_vla.progress import duration
from mobile_vla.templates import rendered
from mobile_vla.timing.result import TimingResult, VariantTime


def timing_page(result: TimingResult) -> str:
    """Return the page of a ``timing.json``."""
    threads = f"{result.threads} thread{'s' if result.threads != 1 else ''}"
    if result.processes > 1:
        threads = f"{result.processes} processes of {threads}"
    sentence = (
        f"An epoch takes about {duration(result.seconds_per_epoch)}, and the full run of "
        f"{result.epochs} epochs about {duration(result.projected_seconds)} on this "
        f"{result.device} ({result.device_name}) with {threads} in {result.precision}, "
        f"measured over {result.steps} real steps after {result.warmup_steps} to warm up."
    )
    if result.contended:
        sentence += " The machine was busy or the steps were uneven: measure again for a figure."
    return rendered(
        "timing",
        experiment=result.experiment,
        sentence=sentence,
        rows=_rows(result),
        variants=_lines(result.ablation),
    )


def _rows(result: TimingResult) -> list[tuple[str, str]]:
    step, flops, memory = result.seconds_per_step, result.flops, result.memory
    estimate = memory.estimate
    limit = "" if memory.limit_gb is None else f"; allowed {memory.limit_gb:g} GB"
    return [
        ("a step, median", f"{step.median:.4g} s"),
        ("a step, from … to", f"{step.min:.4g} … {step.max:.4g} s"),
        ("waiting for data", f"{100 * result.data_share:.2g} % of a step"),
        ("windows a step", str(result.windows_per_step)),
        ("distinct frames a step, mean", f"{result.frames_per_step:.3g}"),
        ("steps an epoch", str(result.steps_per_epoch)),
        ("windows a second", f"{result.windows_per_second:.4g}"),
        ("validation", f"{result.validation_seconds:.4g} s"),
        *(
            [("drives of the validation, at most", f"{result.driving_seconds:.4g} s")]
            if result.driving_seconds is not None
            else []
        ),
        ("an epoch, validation included", f"{result.seconds_per_epoch:.4g} s"),
        (
            f"operations a frame, from the cut {result.cut} on",
            f"{_giga(flops.frame.counted)} GFLOP counted, "
            f"{_giga(flops.frame.formula)} by the formula",
        ),
        (
            "operations of one step",
            f"{_giga(flops.step.counted)} GFLOP counted, "
            f"{_giga(flops.step.formula)} by the formula",
        ),
        (
            "rate",
            f"{_giga(result.achieved_rate)} GFLOP/s, "
            f"{100 * result.share_of_matrix_rate:.3g} % of the {_giga(result.matrix_rate)} "
            "of a plain matrix product",
        ),
        (
            "peak memory",
            f"{memory.measured / 1e9:.3g} GB measured, {estimate.total / 1e9:.3g} GB "
            f"estimated before{limit}",
        ),
        ("adapter", f"{memory.adapter / 1e6:.3g} MB" if memory.adapter else "none"),
        ("load of the machine", f"{result.load_average:.2f}"),
        ("versions", ", ".join(f"{name} {value}" for name, value in result.versions.items())),
    ]


def _giga(value: float) -> str:
    return f"{value / 1e9:.3g}"


def _lines(ablation: Sequence[VariantTime]) -> list[dict[str, str]]:
    """Return the variants as text, and the lengths of their bars in per cent of the reference's."""
    return [
        {
            "name": variant.name if place == 0 else f"+ {variant.name}",
            "width": f"{100 * variant.seconds_per_epoch / ablation[0].seconds_per_epoch:.2f}",
            "seconds": f"{variant.seconds_per_epoch:.3g} s",
            "speedup": f"{variant.speedup:.3g}×",
            "flops": f"{_giga(variant.flops_per_epoch)} GFLOP",
        }
        for place, variant in enumerate(ablation)
    ]
