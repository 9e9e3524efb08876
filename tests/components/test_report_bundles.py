"""Certificates of bundles in the report: in a closed part, and nothing of them without bundles."""

import re
from dataclasses import replace

import pytest

from mobile_vla.errors import UserError
from mobile_vla.layout import CertificateFiles
from mobile_vla.reporting.format import percent
from mobile_vla.reporting.load import load_runs
from support.behaviour_results import certificate_of
from support.report import written
from support.results import make_results
from support.training_results import write_provenance


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two experiments, the first of them with two bundles."""
    made = make_results(tmp_path_factory.mktemp("bundles"), 2)
    first, *others = made.settings.runs
    first = first.model_copy(update={"bundles": ("fp32", "int8")})
    made = replace(made, settings=made.settings.model_copy(update={"runs": (first, *others)}))
    for precision, failures in (("fp32", []), ("int8", ["actions differ by 0.73 <here>"])):
        files = CertificateFiles.below(made.results, **first.names(), precision=precision)
        files.certificate.parent.mkdir(parents=True)
        certificate_of("lora", precision, failures).write(files.certificate)
    for path in made.provenance:
        if "/bundle/" in str(path):
            write_provenance(path, "certify_bundle", dirty=False)
    return made


def test_certificates_stand_in_a_closed_part(made):
    page = written(made).read_text(encoding="utf-8")
    (part,) = re.findall(
        r"<details><summary>Bundles for the robot</summary>.*?</details>", page, re.S
    )
    assert part.count("<tr>") == 3
    assert "<td>passed</td>" in part and f"<td>not worse by {percent(0.05)}</td>" in part
    assert "FAILED: actions differ by 0.73 &lt;here&gt;" in part
    assert f"<td>not worse by {percent(0.05)} is not shown</td>" in part
    assert "1 better, 2 worse of 80" in part
    assert "certify_bundle" in page  # where it comes from


def test_without_bundles_nothing_is_said_of_them(made):
    bare = tuple(run.model_copy(update={"bundles": ()}) for run in made.settings.runs)
    without = replace(made, settings=made.settings.model_copy(update={"runs": bare}))
    assert "Bundles for the robot" not in written(without).read_text(encoding="utf-8")


def test_the_certificate_of_another_bundle_is_refused(made):
    names = {**made.settings.runs[0].names(), "precision": "fp32"}
    path = CertificateFiles.below(made.results, **names).certificate
    before = path.read_bytes()
    certificate_of("lora", "int8").write(path)
    with pytest.raises(UserError, match="holds the results of int8, expected those of fp32"):
        load_runs(made.settings, made.results)
    path.write_bytes(before)
