"""Run the prompt-swap test: predict the validation windows under other prompts."""

from __future__ import annotations

import logging

import numpy as np

from mobile_vla.config.language import LanguageSettings
from mobile_vla.language.prompt_swap import (
    OPPOSITE,
    RIGHT,
    SwapWindows,
    prompts_by_kind,
    score_prompt_swap,
)
from mobile_vla.language.result import SwappedRun
from mobile_vla.layout import LanguageFiles
from mobile_vla.machine import use_threads
from mobile_vla.runs.data import PolicyInputs, open_run
from mobile_vla.runs.policy import load_policy
from mobile_vla.runs.predict import predict_under_prompts

log = logging.getLogger(__name__)


def language(
    settings: LanguageSettings, inputs: PolicyInputs, outputs: LanguageFiles, *, threads: int
) -> None:
    """Compare a policy's predictions under right, opposite, constant and paraphrased prompts.

    Features are read only at the cut ``image_embeds``: elsewhere frames are encoded anew, because
    vision is trained or what is stored has read the right prompt.

    Raises:
        UserError: the policy is not the one of these settings, data or backbone.
    """
    use_threads(settings.threads, threads, "training.threads")
    data = open_run(settings, inputs, settings.precision)
    policy = load_policy(inputs.policy, settings.policy, data)
    samples, dataset = data.samples[data.scored_on], data.dataset
    prompts_of = [settings.policy.prompt_of(dataset.part_of(i).name) for i in range(len(dataset))]
    prompts = prompts_by_kind(dataset.episodes, prompts_of, settings.language)
    texts = tuple(sorted({text for of_kind in prompts.values() for text in of_kind}))
    policy.use_prompts(texts, data.backbone.processor())
    places = {text: place for place, text in enumerate(texts)}
    prompt_of_row = {
        kind: np.repeat([places[text] for text in of_kind], dataset.lengths)
        for kind, of_kind in prompts.items()
    }
    predicted = predict_under_prompts(
        policy, samples, prompt_of_row, settings.language.batch_size, data.precision
    )
    table = samples.table
    windows = SwapWindows(
        truth=samples.commands[table.targets],
        mask=table.mask,
        episode=table.episode,
        groups=[episode.group for episode in dataset.episodes],
        sides=[
            episode.scenario["side"] if right != opposite else None
            for episode, right, opposite in zip(
                dataset.episodes, prompts[RIGHT], prompts[OPPOSITE], strict=True
            )
        ],
        dimensions=settings.policy.actions.dimensions,
    )
    episodes = np.unique(table.episode)
    run = SwappedRun(
        experiment=settings.experiment,
        run=settings.run,
        dataset=dataset.name,
        manifest=data.trained_on.manifest,
        split=data.trained_on.split,
        scored_on=data.scored_on,
        prompts={
            kind: sorted({of_kind[index] for index in episodes})
            for kind, of_kind in prompts.items()
        },
    )
    threshold = settings.language.threshold * settings.policy.actions.full
    result = score_prompt_swap(run, predicted, windows, threshold, settings.uncertainty)
    result.write(outputs.language)
    log.info("%s: %s; %s", settings.title, result.verdict, result.why)
