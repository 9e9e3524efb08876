"""Heads in config.yaml: one of a type, with the settings of that type alone."""

import pytest

from mobile_vla.config.heads.gpt import Gpt
from mobile_vla.config.heads.lstm import Lstm
from mobile_vla.config.heads.tokens import Tokens
from support.config_text import BASE, load, problems

HEADED = BASE.replace("  chunk: 10\n", "  chunk: 10\n  head: {layers: 2, hidden_size: 64}\n")


def test_a_head_of_another_type_replaces_the_default_one(tmp_path):
    added = """\
  narrow: {head: {hidden_size: 32}}
  same: {head: {type: lstm, mlp: [8]}}
  gpt: {head: {type: gpt, heads: 4}}
  keys: {head: {type: tokens, classes: commands}}
  swept: {sweep: {head.type: [mlp, flow]}}
"""
    found = load(HEADED + added, tmp_path).experiments
    assert found["lora"].head == Lstm(layers=2, hidden_size=64)
    assert found["narrow"].head == Lstm(layers=2, hidden_size=32)
    assert found["same"].head == Lstm(layers=2, hidden_size=64, mlp=(8,))
    assert found["gpt"].head == Gpt(type="gpt", heads=4)
    assert found["keys"].head == Tokens(type="tokens", classes="commands")
    assert {found[f"swept-type_{kind}"].head.type for kind in ("mlp", "flow")} == {"mlp", "flow"}


@pytest.mark.parametrize(
    ("head", "place", "words"),
    [
        ("{type: gpt, readout: last}", "head.readout", "unknown key 'readout'"),
        ("{type: flow, output: tanh}", "head.output", "unknown key 'output'"),
        ("{type: mlp, layers: 2}", "head.layers", "unknown key 'layers'"),
        ("{steps: 3}", "head.steps", "unknown key 'steps'"),
        ("{type: gptt}", "head.type", "found 'gptt'"),
        ("{type: gpt, hidden_size: 10, heads: 4}", "head", "10 is no multiple of heads 4"),
        ("{type: tokens, classes: 1}", "head.classes", "found 1"),
        ("{type: tokens, classes: keys}", "head.classes", "found 'keys'"),
    ],
)
def test_a_setting_that_a_head_does_not_use_is_refused(tmp_path, head, place, words):
    found = problems(BASE + f"  other:\n    head: {head}\n", tmp_path)
    assert list(found) == [f"13 (experiments.other.{place})"]
    assert words in str(*found.values())


@pytest.mark.parametrize(
    ("settings", "place", "words"),
    [
        ("head: {type: tokens}, padding: {}", "padding", "gpt, lstm, mlp"),
        ("head: {type: flow}, padding: {}", "padding", "has its own loss"),
        (
            "head: {type: mlp}, training: {supervise: every_frame}",
            "training.supervise",
            "not one after each of its frames",
        ),
        (
            "head: {type: tokens, choose: sample}, bundle: {precisions: [fp32]}",
            "bundle.precisions",
            "say `choose: argmax`",
        ),
    ],
)
def test_what_a_head_cannot_do_is_refused_in_the_plan(tmp_path, settings, place, words):
    found = problems(BASE + f"  other: {{{settings}}}\n", tmp_path)
    assert list(found) == [f"12 (experiments.other.{place})"]
    assert words in str(*found.values())


def test_what_a_head_can_do_is_not(tmp_path):
    load(
        BASE
        + """\
  a: {head: {type: gpt}, padding: {}, training: {supervise: every_frame}}
  b: {head: {type: flow}, training: {supervise: every_frame}, bundle: {precisions: [fp32]}}
  c: {head: {type: tokens}, bundle: {precisions: [fp32, int8]}}
""",
        tmp_path,
    )
