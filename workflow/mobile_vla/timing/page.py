"""The timing of one experiment as a small page of its own."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from mobile_vla.progress import duration

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Timing of {{ experiment }}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem;
    margin: 2rem auto; padding: 0 1rem }
  th { text-align: left; font-weight: normal; padding-right: 2rem }
  td { font-variant-numeric: tabular-nums }
</style>
<h1>Timing of {{ experiment }}</h1>
<p>{{ sentence }}</p>
<table>
{%- for name, value in rows %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{%- endfor %}
</table>
</html>
"""


def timing_page(found: dict[str, Any]) -> str:
    """Return the page of a ``timing.json``."""
    step = found["seconds_per_step"]
    threads = f"{found['threads']} thread{'s' if found['threads'] != 1 else ''}"
    sentence = (
        f"An epoch takes about {duration(found['seconds_per_epoch'])}, and the full run of "
        f"{found['epochs']} epochs about {duration(found['projected_seconds'])} on this "
        f"{found['device']} with {threads} in {found['precision']}, measured over "
        f"{found['steps']} real steps after {found['warmup_steps']} to warm up."
    )
    if found["contended"]:
        sentence += " The machine was busy or the steps were uneven: measure again for a figure."
    rows = [
        ("a step, median", f"{step['median']:.4g} s"),
        ("a step, from … to", f"{step['min']:.4g} … {step['max']:.4g} s"),
        ("windows a step", str(found["windows_per_step"])),
        ("steps an epoch", str(found["steps_per_epoch"])),
        ("windows a second", f"{found['windows_per_second']:.4g}"),
        ("validation", f"{found['validation_seconds']:.4g} s"),
        ("an epoch, validation included", f"{found['seconds_per_epoch']:.4g} s"),
        ("load of the machine", f"{found['load_average']:.2f}"),
    ]
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(experiment=found["experiment"], sentence=sentence, rows=rows)
