"""Whether the prompts of experiments can be made for a LeRobotDataset, said in the plan."""

from __future__ import annotations

from collections.abc import Mapping

from mobile_vla.config.mistakes import Source
from mobile_vla.config.prompt import INSTRUCTION, Prompt
from mobile_vla.data.prompts import needs
from mobile_vla.errors import Problem, Problems
from mobile_vla.ingest.scenario import parse_scenario
from mobile_vla.lerobot.listing import ListedEpisode


def check_prompts(
    name: str, episodes: Mapping[str, ListedEpisode], prompts: Mapping[str, Prompt], source: Source
) -> None:
    """Refuse prompts that need what no episode says, such as a side.

    What some episodes say and others do not is for the audit.

    Args:
        name: of the dataset.
        episodes: by name.
        prompts: by experiment.
        source: where they stand.

    Raises:
        Problems: there are such prompts: all of them.
    """
    said = {key for episode in episodes for key, value in parse_scenario(episode).items() if value}
    if any(one.settings.instruction for one in episodes.values()):
        said.add(INSTRUCTION)
    problems = [
        Problem(
            source.place(("experiments", experiment, "prompt", "template")),
            f"{prompt.template!r} needs the {' and the '.join(missing)}, which no episode says",
            f"a prompt of what they say: {', '.join(sorted(said)) or 'nothing'}",
            'write `prompt: {template: "{instruction}"}`' if INSTRUCTION in said else "",
        )
        for experiment, prompt in prompts.items()
        if (missing := [key for key in needs(prompt) if key not in said])
    ]
    if problems:
        raise Problems(f"prompts that cannot be made for the dataset {name!r}", problems)
