"""The report as a user asks for it: in part, in Korean, and as Snakemake's own."""

from __future__ import annotations


def test_a_partial_report_runs_nothing_else(copied):
    (copied.folder / "results/experiments/head_only/seed0/training_results.json").unlink()
    finished = copied.build("partial_report")
    assert finished.jobs() in ({}, {"partial_report": 1})
    html = (copied.folder / "results/partial/report.html").read_text()
    assert "This page is partial: 1 run did not finish" in html
    assert "head_only seed0: not finished" in html and "1 experiment in 1 run" in html
    assert not (
        copied.folder / "results/experiments/head_only/seed0/training_results.json"
    ).exists()

    copied.config = copied.config + "report: {language: ko}\n"
    copied.build("partial_report")  # a second time, too
    html = (copied.folder / "results/partial/report.html").read_text()
    assert '<html lang="ko"' in html and ">요약<" in html


def test_snakemakes_own_report_holds_ours(copied):
    finished = copied.snakemake("--cores", "2", "--report", "own.html")
    assert finished.status == 0, finished.output
    html = (copied.folder / "own.html").read_text()
    for category in ("Report", "Figures", "Tables", "Audits", "Timing"):
        assert f'"{category}"' in html
