"""Images that are stored as JPEG or PNG files."""

from __future__ import annotations

import io
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from mobile_vla.ingest.chunks import image_blocks
from mobile_vla.ingest.encoded import read_image
from mobile_vla.ingest.episode import read_episode
from mobile_vla.ingest.rawfile import Rejected
from support.encoded_files import any_length, files_of
from support.recorded import write_episode

FRAMES = 5
SIZE = (12, 16)
VLEN = {"dtype": h5py.vlen_dtype(np.uint8)}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "episode_20251103_091241_1box_hori_left_core_close.h5"
    write_episode(path, frames=FRAMES, size=SIZE)
    return path


@pytest.fixture(scope="module")
def pixels(good):
    with h5py.File(good) as file:
        return file["images"][()]


@pytest.fixture
def path(good, tmp_path):
    return shutil.copy(good, tmp_path / good.name)


def read(path, data, place="images", **how):
    """Store images in another form; return the episode and its images."""
    with h5py.File(path, "r+") as file:
        del file["images"]
        file.create_dataset(place, data=data, **how)
    with h5py.File(path) as file:
        episode = read_episode(file, lambda place: None)
        blocks = dict(image_blocks(file, episode.place, lambda place: None))
        single = np.stack([read_image(file[episode.place], frame) for frame in range(FRAMES)])
    images = np.concatenate(list(blocks.values()))
    np.testing.assert_array_equal(single, images)
    return episode, images


def padded(files, more=0):
    """Rows of bytes of a common length, (T, N)."""
    width = max(map(len, files)) + more
    rows = [np.frombuffer(content.ljust(width, b"\0"), np.uint8) for content in files]
    return np.stack(rows)


FORMS = {
    "any length": lambda files: (any_length(files), VLEN),
    "any length, that can grow": lambda files: (any_length(files), VLEN | {"maxshape": (None,)}),
    "any length, compressed": lambda files: (any_length(files), VLEN | {"compression": "gzip"}),
    "padded": lambda files: (padded(files, 100), {}),
    "padded, compressed": lambda files: (padded(files), {"compression": "gzip"}),
    "padded, in odd chunks": lambda files: (
        padded(files), {"compression": "gzip", "chunks": (2, 77)},
    ),
    "padded, in other chunks": lambda files: (
        padded(files), {"compression": "lzf", "chunks": (3, 200)},
    ),
    "void": lambda files: (padded(files).view(f"V{padded(files).shape[1]}")[:, 0], {}),
    "strings": lambda files: (np.array(files), {}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_files_are_decoded_however_their_bytes_are_stored(path, pixels, form, kind):
    files = files_of(pixels, kind)
    data, how = form(files)
    episode, images = read(path, data, **how)
    expected = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in files])
    np.testing.assert_array_equal(images, expected)
    if kind == "PNG":
        np.testing.assert_array_equal(images, pixels)
    assert episode.shape == (*SIZE, 3)
    (note,) = episode.notes
    assert note.code == "encoded_images" and kind in str(note.found) and note.place == "images"


def test_they_may_lie_among_the_observations(path, pixels):
    episode, images = read(path, padded(files_of(pixels, "PNG")), "observations/images")
    np.testing.assert_array_equal(images, pixels)
    assert episode.notes[0].place == "observations/images"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_other_kinds_of_pixels_that_say_the_same(path, pixels, mode):
    _, images = read(path, any_length(files_of(pixels, "PNG", mode)), **VLEN)
    plain = np.stack([np.asarray(Image.fromarray(i).convert(mode).convert("RGB")) for i in pixels])
    np.testing.assert_array_equal(images, plain)


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


BROKEN = {
    "cut off": (lambda content: content[: len(content) // 2], "damaged_chunk"),
    "empty": (lambda content: b"", "damaged_chunk"),
    "noise after the signature": (lambda content: content[:8] + bytes(range(200)), "damaged_chunk"),
    "another size": (lambda content: png(np.zeros((7, 9, 3), np.uint8)), "wrong_shape"),
    "depth": (lambda content: png(np.zeros(SIZE, np.uint16)), "wrong_dtype"),
    "transparent": (lambda content: png(np.zeros((*SIZE, 4), np.uint8)), "wrong_dtype"),
    "a bomb": (lambda content: png(np.zeros((5000, 5000), np.uint8)), "absurd_size"),
    "a text": (lambda content: b"no image" * 9, "damaged_chunk"),
}


@pytest.mark.parametrize(("spoil", "code"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_broken_file_names_its_frame(path, pixels, kind, spoil, code):
    files = files_of(pixels, kind)
    files[3] = spoil(files[3])
    with pytest.raises(Rejected) as error:
        read(path, any_length(files), **VLEN)
    (defect,) = error.value.defects
    assert defect.code == code and defect.place == "images, frame 3"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_padded_file_that_was_cut_off_is_no_grey_image(path, pixels, kind):
    files = files_of(pixels, kind)
    files[2] = files[2][:-20]
    with pytest.raises(Rejected, match="damaged_chunk at images, frame 2"):
        read(path, padded(files, 50))


@pytest.mark.parametrize(
    "data",
    [np.zeros((FRAMES, 40), np.uint8), np.array([b"BMP"] * FRAMES), np.array([b"GIF89a"] * FRAMES)],
)
def test_bytes_that_are_no_such_files_have_the_wrong_form(path, data):
    with pytest.raises(Rejected) as error:
        read(path, data)
    assert [defect.code for defect in error.value.defects] == ["wrong_shape"]
    assert "JPEG or PNG" in str(error.value.defects[0].expected)
