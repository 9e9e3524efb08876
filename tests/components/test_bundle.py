"""Bundles: they answer as the policy does, and whatever is wrong with one is caught."""

import json
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from torch import nn

from mobile_vla.bundle import certify_bundle, graphs, packages, quantisation, runtime
from mobile_vla.bundle.quantisation import by_column, columns_without_scale, quantise_encoder
from mobile_vla.bundle.runtime import (
    Bundle,
    Probe,
    Refused,
    ServedBundle,
    open_bundle,
    read_folder,
)
from mobile_vla.config.bundle import BundleEntry
from mobile_vla.config.ingest import Images
from mobile_vla.config.mistakes import Source
from mobile_vla.errors import UserError
from mobile_vla.ingest.resize import to_frame
from mobile_vla.serving.application import Server
from support.bundles import (
    Made,
    change_prompts,
    change_tensor,
    copied,
    described_anew,
    flip_weight,
)
from support.policy_server import LIMITS, serving
from support.protocol import Protocol, Served


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    made = Made.train(tmp_path_factory.mktemp("bundles"))
    made.export()
    made.quantise()
    return made


@pytest.fixture(scope="module")
def certified(made):
    """The bundle in fp32 with its certificate."""
    return made.certify("fp32")


@pytest.fixture
def bundle(made, tmp_path):
    """A copy of the bundle in fp32."""
    return copied(made.folder("fp32"), tmp_path / "bundle")


def test_a_bundle_answers_as_the_policy_does_at_each_validation_frame(certified):
    assert certified.passed and certified.failures == []
    assert certified.parity.max_difference <= 1e-5 and certified.parity.prompts == 2
    assert certified.parity.frames >= 8 and certified.parity.mae > 0.01
    assert certified.alone is not None and certified.alone.probe_difference <= 1e-5
    assert certified.alone.bundle == certified.bundle
    assert certified.rollouts is None  # no world is known
    assert certified.latency.torch.keys() == {"fp32"}


def test_no_matrix_is_held_twice_when_layers_are_transposed(monkeypatch):
    model = nn.ModuleList(nn.Linear(3, 2) for _ in range(4))
    layers = [weakref.ref(layer) for layer in model]
    held = []

    class Counted(graphs.Product):
        def __init__(self, layer):
            held.append(sum(one() is not None for one in layers))
            super().__init__(layer)

    monkeypatch.setattr(graphs, "Product", Counted)
    graphs.transpose_linear(model)
    assert held == [4, 3, 2, 1]
    assert all(tuple(product.weight.shape) == (3, 2) for product in model)


def test_another_folder_gets_the_same_bytes(made, tmp_path):
    before = {file.name: file.read_bytes() for file in made.folder("fp32").glob("*[!c]*.*")}
    shutil.copytree(made.results.parent, tmp_path / "elsewhere")
    moved = {
        name: tmp_path / "elsewhere" / path.relative_to(made.results.parent)
        for name, path in vars(made.inputs).items()
        if isinstance(path, type(made.results))
    }
    other = Made(tmp_path / "elsewhere/results", made.inputs.__class__(**moved))
    other.export()
    names = {"encoder.onnx", "encoder.data", "head.onnx", "prompts.npz", "probe.npz", "bundle.json"}
    for name in names | {"modules.zip", "run.py"}:
        assert (other.folder("fp32") / name).read_bytes() == before[name], name


def test_nothing_of_this_machine_is_in_it(made):
    for name in ("encoder.onnx", "head.onnx"):
        data = (made.folder("fp32") / name).read_bytes()
        assert b"/mobile_vla/" not in data and str(made.results.parent).encode() not in data
    modes = {file.stat().st_mode & 0o044 for file in made.folder("fp32").iterdir()}
    assert modes == {0o044}


def wrong_colours(image, resize, color):
    return to_frame(image, Images(resize=resize, color="rgb" if color == "bgr" else "bgr"))


def wrong_filter(image, resize, color):
    return np.asarray(Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR))


def without_last(vectors):
    return [one[:-1] for one in vectors]


def head_of_before(head):
    """Put in the weights that the head had an epoch ago, or nearly."""
    change_tensor(head, "mlp.3.bias", lambda bias: bias + 0.01)


FAULTS = {
    "a flipped weight": flip_weight,
    "another mean": lambda folder: change_tensor(
        folder / "encoder.onnx", "mean", lambda mean: mean[:, ::-1] + 0.1
    ),
    "another deviation": lambda folder: change_tensor(
        folder / "encoder.onnx",
        "std",
        lambda std: std * 0 + 0.5,  # of many other models
    ),
    "no action token": lambda folder: change_prompts(folder, without_last),
    "another prompt's vectors": lambda folder: change_prompts(folder, lambda all_: all_[::-1]),
    "an older policy's head": lambda folder: head_of_before(folder / "head.onnx"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_changes_after_the_export_is_refused_by_its_digest(bundle, fault):
    FAULTS[fault](bundle)
    with pytest.raises(Refused, match="its bytes are not those that were exported"):
        open_bundle(bundle, uncertified=True)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_export_that_is_wrong_from_the_start_is_refused_by_the_probe(bundle, fault):
    FAULTS[fault](bundle)
    described_anew(bundle)
    with pytest.raises(Refused, match="known pictures give actions that differ"):
        open_bundle(bundle, uncertified=True)


@pytest.mark.parametrize("wrong", [wrong_colours, wrong_filter])
def test_a_program_that_prepares_pictures_otherwise_is_refused(made, monkeypatch, wrong):
    monkeypatch.setattr(runtime, "to_frame", wrong)
    with pytest.raises(Refused, match="known pictures give actions that differ"):
        open_bundle(made.folder("fp32"), uncertified=True)


def test_a_bundle_that_says_another_resize_is_refused(bundle):
    described, _ = read_folder(bundle)
    described_anew(bundle, images={**described["images"], "resize": "crop"})
    with pytest.raises(Refused, match="known pictures"):
        open_bundle(bundle, uncertified=True)


def test_a_failed_certificate_stands_beside_the_bundle_which_is_refused(made, bundle):
    head_of_before(bundle / "head.onnx")
    described, _ = read_folder(made.folder("fp32"))
    origin = {**described["origin"], "policy": "0" * 64}
    described_anew(bundle, tolerance=1e9, origin=origin)  # what no probe would show
    certificate = made.certify("fp32", bundle)
    assert not certificate.passed
    assert certificate.failures[0] == "bundle.json (origin.policy): it was made of another one"
    assert "expected at most 0.0001" in certificate.failures[1]
    assert (bundle / "FAILED.txt").read_text().splitlines() == certificate.failures
    with pytest.raises(Refused, match=r"origin.policy.*--uncertified"):
        open_bundle(bundle)
    open_bundle(bundle, uncertified=True)


def test_a_certificate_of_another_bundle_is_worth_nothing(made, certified, bundle):
    shutil.copyfile(made.folder("fp32") / "certificate.json", bundle / "certificate.json")
    open_bundle(bundle)
    described_anew(bundle, epoch=7)
    with pytest.raises(Refused, match="it is another bundle's"):
        open_bundle(bundle)
    (bundle / "certificate.json").unlink()
    with pytest.raises(Refused, match="cannot be read"):
        open_bundle(bundle)


def per_tensor(matrix):
    scale = np.float32(np.abs(matrix).max() / 127)
    return np.rint(matrix / scale).astype(np.int8), np.array(scale)


def test_int8_has_a_scale_for_each_column_and_one_for_all_is_caught(made, tmp_path):
    whole, eighth = made.files("fp32"), made.files("int8")
    assert columns_without_scale(eighth.encoder) == []
    assert eighth.weights.stat().st_size < whole.weights.stat().st_size
    coarse = copied(made.folder("int8"), tmp_path / "coarse")
    to = coarse / "encoder.onnx", coarse / "encoder.data"
    count = quantise_encoder(whole.encoder, whole.weights, *to, per_tensor)
    described_anew(coarse)
    assert len(columns_without_scale(to[0])) == count > 10
    failures = certify_bundle.coarse(coarse, "int8")
    assert len(failures) == 1 and "no scale for each column" in failures[0]


def test_int8_answers_as_int8_did_where_it_was_made(made):
    bundle, difference, _ = open_bundle(made.folder("int8"), uncertified=True)
    assert difference == 0.0
    whole = Probe.read(made.folder("fp32"))
    apart = np.abs(whole.answers(bundle) - whole.actions)
    assert 0 < apart.mean() < 0.02


def test_rounding_a_column_to_eight_bits():
    matrix = np.float32([[1.0, 0.0, -100.0], [-0.5, 0.0, 50.2]])
    values, scale = by_column(matrix)
    assert values.tolist() == [[127, 0, -127], [-64, 0, 64]]
    np.testing.assert_allclose(scale, [1 / 127, 1.0, 100 / 127], rtol=1e-6)


BLOCKED = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "h5py", "pydantic", "onnx", "psutil"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_py(folder, *arguments):
    """Run a bundle's program where there is neither PyTorch nor this project."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, str(folder / "run.py"), *map(str, arguments)],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
    )


def test_the_program_predicts_without_the_project(made, certified, tmp_path):
    folder = copied(made.folder("fp32"), tmp_path / "on the robot")
    probe, pictures = Probe.read(folder), []
    prompts = json.loads((folder / "bundle.json").read_text())["prompts"]
    prompt = prompts[int(probe.prompt[0])]
    for number, picture in enumerate(probe.pictures):
        pictures.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(pictures[-1])
    done = run_py(folder, "predict", "--instruction", prompt, *pictures)
    assert done.returncode == 0, done.stderr
    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert lines[0] == ["frame", "ahead", "linear_x", "linear_y"]
    found = np.float32([line[2:] for line in lines[1:]]).reshape(len(pictures), -1, 2)
    np.testing.assert_allclose(found, probe.actions[: len(pictures)], atol=1e-5)
    # a mistake is answered in words
    done = run_py(folder, "predict", "--instruction", "fly", *pictures)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "found the instruction 'fly', expected 'pass on the" in done.stderr


@pytest.fixture(scope="module")
def served_bundle(made):
    """The bundle in fp32 behind a server, and its port."""
    bundle, *_ = open_bundle(made.folder("fp32"), threads=1, uncertified=True)
    policy = ServedBundle(bundle, certified=True)
    with serving(Server(policy, replace(LIMITS, sessions=8))) as client:
        yield policy, client.port


class TestProtocol(Protocol):
    @pytest.fixture
    def served(self, served_bundle):
        policy, port = served_bundle

        def predict(seen, prompt):
            _, stream = policy.begin(prompt)
            before, found = np.zeros(2, dtype=np.float32), []
            for frame in seen:
                found.append(policy.guard.check(stream.step(frame), before).chunk)
                before = found[-1][0]
            return np.stack(found)

        prompts = tuple(policy.facts["prompts"])
        return Served(port, prompts, policy.dimensions, policy.ahead, predict)


def test_an_unknown_provider_is_refused_with_those_that_are_there(made):
    described, _ = read_folder(made.folder("fp32"))
    with pytest.raises(Refused, match=r"found Nonesuch, expected some of .*CPUExecutionProvider"):
        Bundle(made.folder("fp32"), described, ["Nonesuch"])


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    packages.check_packages("lora", Source())
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"experiments.lora.bundle.*onnxscript.*not installed"
    ) as one:
        packages.check_packages("lora", Source())
    assert packages.INSTALL in str(one.value)


def test_a_precision_is_named_once():
    with pytest.raises(ValueError, match="each precision once"):
        BundleEntry(precisions=["fp32", "fp32"])
    assert BundleEntry().precisions == ()


def test_the_weights_are_read_one_at_a_time(made, monkeypatch, tmp_path):
    """The file of weights is never in memory as a whole."""
    largest, whole = [0], made.files("fp32")
    read = quantisation._array

    def watched(tensor, source):
        array = read(tensor, source)
        largest[0] = max(largest[0], array.nbytes)
        return array

    monkeypatch.setattr(quantisation, "_array", watched)
    to = tmp_path / "encoder.onnx", tmp_path / "encoder.data"
    quantise_encoder(whole.encoder, whole.weights, *to)
    assert 0 < largest[0] < whole.weights.stat().st_size / 4
    others = made.files("int8").encoder, made.files("int8").weights
    for written, expected in zip(to, others, strict=True):
        assert written.read_bytes() == expected.read_bytes()
