"""Configurations with mistakes, and texts that are hardly YAML: all drawn from a seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from datetime import date
from typing import Any

import yaml

BASE = """\
include: [presets]
memory_limit_gb: 14
datasets:
  demo:
    kind: simulated
    simulation: {scenes: 6, world: {seed: 0, frames: 15, variation: 2}}
    split: {kind: kfold, folds: 2, val: 0.25, stratify_by: [side]}
  mine:
    kind: recorded
    path: .
    pattern: "*.h5"
    fields:
      episodes: "data/demo_*"
      images: obs/front
      actions: {linear_x: "actions[0]", angular_z: twist/z}
      instruction: "@lang"
    scenarios: sides.csv
    images: {color: bgr}
    actions: {scale: 1.15}
    on_error: quarantine
    on_warning: keep
    accept: {frozen_frames: the robot waits}
    split: {train: 0.6, val: 0.2, test: 0.2}
backbones:
  tiny:
    weights: random
    vision: {hidden_size: 16, layers: 1, heads: 2, ffn: 32}
    text: {hidden_size: 32, layers: 1, heads: 2, ffn: 32, vocabulary: 1500, dropout: 0}
    image_tokens: 4
  real: {checkpoint: ./kosmos-2}
presets:
  short: {training: {epochs: 1}}
defaults:
  dataset: demo
  backbone: tiny
  seeds: [0, 1]
  window: 3
  chunk: 4
  target: next
  start: repeat
  tail: mask
  prompt: {template: "pass on the {side}", words: {side: {left: links, right: rechts}}}
  lora: {r: 4, alpha: 16, dropout: 0.1, targets: [q_proj]}
  head: {layers: 1, hidden_size: 8, mlp: [8], dropout: 0.1}
  augment: {mirror: true, brightness: 0}
  language: {paraphrase: "go to the {side}"}
  evaluation: {batch_size: 64, dead_band: {linear_x: 0.5}}
  timing: {warmup_steps: 1, steps: 3, ablation: true}
  latency: {warmup_steps: 1, steps: 20}
  rollout: {scenes: 1, film_strips: 1}
  training:
    epochs: 2
    batch_size: 8
    accumulation: 2
    learning_rate: 0.001
    schedule: cosine
    warmup: 0.1
    clip: 1.0
    precision: fp32
    early_stopping: {patience: 2, min_delta: 0.01}
experiments:
  lora: {}
  head_only: {finetune: none, subset: 2}
  full: {finetune: full, preset: short}
  longer: {training: {init_from: lora}}
  grid: {sweep: {window: [3, 5], lora.r: [4, 8]}}
report: {title: A lab, language: en}
"""

WORDS = [
    *("", " ", "x" * 300, "ü\u202e", "a/b", "../up", "~nobody", "{side}", "{", "}", "{}", "%s"),
    *("it's", '"', "$(touch X)", "-", "null", "yes", "2025-11-06", "1e3", "NaN", "**", "**.h5"),
    *("a\nb", "\t", "\x07", "\ufeff", "con", ".", "..", "/", "/dev/zero", "/proc/self/mem", "!x"),
]
NUMBERS = [
    *(0, -1, 1, 2, 3, 10**6, 10**9, 10**12, 2**31, 2**63, 2**64, 10**40, 0.0, -0.5, 1e-320),
    *(1e308, float("inf"), float("-inf"), float("nan"), 0.30000000000000004),
]
OTHERS = [
    *(None, True, False, [], {}, [[]], [None], {"": None}, [1, "a", None], {"a": {"b": {}}}),
    *(date(2025, 11, 6), b"\x00\xff", {1: 2}, {None: 1}, {True: False}, list(range(200))),
    [{"kind": "simulated"}],
]


def configurations(seed: int, count: int) -> Iterator[str]:
    """Yield YAML of configurations, each with one to four settings spoilt.

    Args:
        seed: of the random numbers.
        count: how many.
    """
    rng = random.Random(f"configurations {seed}")
    base = yaml.load(BASE, yaml.CSafeLoader)
    places = list(_places(base))
    for _ in range(count):
        config = copy.deepcopy(base)
        for _ in range(rng.choice([1, 1, 2, 4])):
            _spoil(config, rng, rng.choice(places), places)
        yield yaml.dump(config, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from _places(item, (*path, key))


def _spoil(config: Any, rng: random.Random, place: tuple[Any, ...], places: list[Any]) -> None:
    holder = config
    for key in place[:-1]:
        holder = _item(holder, key)
    if not isinstance(holder, dict | list) or _item(holder, place[-1]) is holder:
        return  # what was there was spoilt before
    key = place[-1]
    how = rng.choice(["replace"] * 4 + ["remove", "rename", "add", "transplant", "wrap", "nest"])
    if how == "remove":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        name = rng.choice([str(key)[:-1] + "z", rng.choice(WORDS), rng.choice([1, None, 1.5])])
        holder[name] = holder.pop(key)
    elif how == "add" and isinstance(holder, dict):
        holder[rng.choice(WORDS)] = _value(rng)
    elif how == "transplant":
        other = config
        for step in rng.choice(places):
            other = _item(other, step)
        holder[key] = copy.deepcopy(other)
    elif how == "wrap":
        holder[key] = [holder[key]]
    elif how == "nest":
        for _ in range(rng.choice([2, 30, 100])):
            holder[key] = {"a": holder[key]}
    else:
        holder[key] = _value(rng)


def _item(holder: Any, key: Any) -> Any:
    """Return an entry; the holder itself where it has none, or holds no entries."""
    try:
        return holder[key]
    except (KeyError, IndexError, TypeError):
        return holder


def _value(rng: random.Random) -> Any:
    return rng.choice(rng.choice([WORDS, NUMBERS, OTHERS]))


SNIPPETS = [
    *("!!python/object/apply:os.system ['touch X']", "!!python/tuple [1]", "!odd {a: 1}"),
    *("&a [*a]", "&a {b: *a}", "*nobody", "<<: 3", "<<: [1, 2]", "? [a, b]\n: 1"),
    *("? {a: 1}\n: 2", "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!merge x"),
    *("[" * 3000, "{a: " * 2000, "- " * 3000, "9" * 6000, "0x" + "f" * 5000, "1_" * 3000),
    *("\x00", "\x1b[31m", "\u2028", "\ufffe", "a: 1\n\tb: 2", "a: 'open", 'a: "\\q"'),
    *("--- 1\n--- 2", "...", "--- !<tag:yaml.org,2002:binary> x", "2025-99-99", "1:2:3"),
    *("12:30:45.5", "2001-12-14t21:59:43.10-25:00", ".inf", "-.INF", ".nan", "0b2", "1e400"),
    *("__use_yte__: true", "?\n", "- - - -", "a:\n- b\n c", "!!timestamp x", "!!float x"),
    *("%YAML 9.9\n---", "~", "0o9", "!!int x", "=", "@", "!!binary x", "!!bool x", "!!null x"),
]


def texts(seed: int, count: int) -> Iterator[bytes]:
    """Yield files that are not quite YAML, or YAML of the kind that breaks a loader.

    Args:
        seed: of the random numbers.
        count: how many.
    """
    rng = random.Random(f"texts {seed}")
    yield from (b"", b"\n", b"# nothing\n", b"---\n", b"\xff\xfe", b"\xef\xbb\xbf", b"~", _bomb())
    for _ in range(count - 8):
        lines = BASE.splitlines()
        for _ in range(rng.choice([1, 1, 3])):
            place = rng.randrange(len(lines))
            how = rng.choice(["insert", "value", "cut", "indent", "double", "bytes"])
            if how == "insert":
                lines.insert(place, rng.choice(SNIPPETS))
            elif how == "value":
                lines[place] = lines[place].partition(":")[0] + ": " + rng.choice(SNIPPETS)
            elif how == "cut":
                lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
            elif how == "indent":
                lines[place] = " " * rng.randrange(9) + lines[place].lstrip()
            elif how == "double":
                lines.insert(rng.randrange(len(lines)), lines[place])
            else:
                other = chr(rng.randrange(1, 0xD000))
                lines[place] = lines[place].replace(rng.choice(lines[place] or " "), other)
        yield "\n".join(lines).encode("utf-8", "surrogatepass")


def _bomb() -> bytes:
    """Return aliases of aliases: a billion entries in ten lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()
