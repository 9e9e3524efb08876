"""What the stages are given of config.yaml: what they use, however it is spelt, and no more."""

from support.config_text import BASE, load


def test_spelling_and_order_do_not_change_what_a_stage_is_given(tmp_path):
    plain = load(BASE + "  a: {training: {learning_rate: 0.0001, epochs: 20}}\n", tmp_path)
    other = load(
        BASE + '  # note\n  a: {training: {epochs: "20", learning_rate: 1e-4}}\n', tmp_path
    )
    assert plain.train("a", "seed0").canonical() == other.train("a", "seed0").canonical()


def test_two_settings_that_swap_their_values_change_it(tmp_path):
    one = load(BASE + "  a: {lora: {r: 8, alpha: 16}}\n", tmp_path)
    two = load(BASE + "  a: {lora: {r: 16, alpha: 8}}\n", tmp_path)
    assert one.train("a", "seed0").canonical() != two.train("a", "seed0").canonical()


def test_settings_that_a_stage_does_not_use_are_not_among_its_own(tmp_path):
    one = load(BASE + "  a: {finetune: none, timing: {steps: 5}}\n", tmp_path)
    two = load(
        BASE + "  a: {finetune: none, lora: {r: 8}, evaluation: {batch_size: 3}}\n", tmp_path
    )
    assert one.train("a", "seed0") == two.train("a", "seed0")
    assert one.evaluate("a", "seed0") != two.evaluate("a", "seed0")


def test_features_are_shared_by_experiments_that_read_the_same(tmp_path):
    project = load(
        BASE
        + "  r8: {lora: {r: 8}}\n  head: {finetune: none}\n"
        + "  other_words: {finetune: none, prompt: {template: '{side}'}}\n"
        + "  full: {finetune: full}\n",
        tmp_path,
    )
    keys = project.feature_keys()
    assert [key[2] for key in keys] == ["image_embeds", "readout", "readout"]
    assert project.feature_key("lora") == project.feature_key("r8")


def test_mirror_images_have_features_of_their_own_and_pictures_need_none(tmp_path):
    project = load(
        BASE + "  mirrored: {augment: {mirror: true}}\n"
        "  full: {finetune: full, augment: {mirror: true, brightness: 0.2}}\n",
        tmp_path,
    )
    assert sorted(key.view for key in project.feature_keys().values()) == ["mirrored", "plain"]
    assert project.feature_key("lora") == project.feature_key("mirrored")
    assert project.train("full", "seed0").photometric.brightness == 0.2


def test_simulated_episodes_are_balanced_and_stay_when_the_dataset_grows(tmp_path):
    small = load(BASE.replace("scenes: 3", "scenes: 12"), tmp_path).simulation("demo")
    large = load(BASE.replace("scenes: 3", "scenes: 15"), tmp_path).simulation("demo")
    assert {name: large[name] for name in small} == small
    cells = [(e.side, e.distance, e.style, e.layout) for e in small.values()]
    assert len(set(cells)) == len(cells) == 24
    assert len({e.collected for e in small.values()}) == 12


def test_runs_are_seeds_and_where_there_are_several_folds(tmp_path):
    text = BASE.replace("{kind: simulated,", "{kind: simulated, split: SPLIT,")
    runs = {
        split: [run for _, run in load(text.replace("SPLIT", split), tmp_path).runs()]
        for split in (
            "{train: 0.6, val: 0.2, test: 0.2}",
            "{kind: kfold, folds: 2}",
            "{kind: leave_one_out, key: distance}",
            "{kind: leave_one_out, key: side, values: [right]}",
        )
    }
    assert list(runs.values()) == [
        ["seed0"],
        ["seed0-fold0", "seed0-fold1"],
        ["seed0-fold0", "seed0-fold1", "seed0-fold2"],
        ["seed0"],
    ]
    project = load(
        text.replace("SPLIT", "{kind: kfold, folds: 2}") + "  a: {seeds: [3, 5]}\n", tmp_path
    )
    own = project.train("a", "seed5-fold1")
    assert (own.seed, own.fold) == (5, 1)
    assert project.timing("a").run.run == "seed3-fold0"


def test_settling_on_rgb_changes_the_audit_and_not_what_is_read(tmp_path):
    unsettled, rgb, bgr = (
        load(BASE.replace("{scenes: 3}}", f"{{scenes: 3}}{images}}}"), tmp_path)
        for images in ("", ", images: {color: rgb}", ", images: {color: bgr}")
    )
    assert unsettled.ingest("demo", "a") == rgb.ingest("demo", "a") != bgr.ingest("demo", "a")
    assert unsettled.audit("demo") != rgb.audit("demo") == bgr.audit("demo")


def test_the_audit_is_given_the_experiments_of_its_dataset(tmp_path):
    other = BASE.replace("backbones:", "  other: {kind: simulated}\nbackbones:")
    project = load(other + "  b: {window: 5}\n  c: {dataset: other}\n", tmp_path)
    assert [one.name for one in project.audit("demo").experiments] == ["lora", "b"]
    assert [one.windows.window for one in project.audit("demo").experiments] == [4, 5]
    assert [one.name for one in project.audit("other").experiments] == ["c"]


def test_what_is_only_timed_is_not_in_the_report(tmp_path):
    dataset = "  few: {kind: simulated, simulation: {scenes: 2}}\n"
    text = BASE.replace("backbones:\n", f"{dataset}backbones:\n  full: {{weights: random}}\n")
    alone = (
        "  full_size:\n    timing_only: true\n    dataset: few\n    backbone: full\n"
        "    timing: {ablation: true}\n"
    )
    project, before = load(text + alone, tmp_path), load(text, tmp_path)
    assert list(project.reported_experiments()) == ["lora"] == list(before.experiments)
    assert list(project.runs()) == list(before.runs()) == [("lora", "seed0")]
    assert project.used_datasets() == ["demo"]
    assert "speed_ablation" not in project.page().figures
    assert project.page().canonical() == before.page().canonical()
    # and still there is all that its timing needs
    assert project.timing("full_size").run.run == "seed0"
    assert project.timing("full_size").timing.ablation
    assert ("few", "full") in {key[:2] for key in project.feature_keys()}
    assert project.feature_keys(project.reported_experiments()) == before.feature_keys()


def test_where_processes_run_changes_no_settings_and_how_many_does(tmp_path):
    one, two, spread = (
        load(BASE.replace("lora: {}", f"lora: {{training: {{{training}}}}}"), tmp_path)
        for training in ("", "processes: 2", "processes: 2, nodes: 2")
    )
    assert one.train("lora", "seed0") != two.train("lora", "seed0")
    assert two.train("lora", "seed0").canonical() == spread.train("lora", "seed0").canonical()
    assert spread.experiments["lora"].training.nodes == 2


def test_another_title_of_the_report_is_given_to_its_page_alone(tmp_path):
    one = load(BASE + "  a: {}\n", tmp_path)
    two = load("report: {title: X}\n" + BASE + "  a: {}\n", tmp_path)
    assert one.figures().canonical() == two.figures().canonical()
    assert one.tables().canonical() == two.tables().canonical()
    assert one.page().canonical() != two.page().canonical()
