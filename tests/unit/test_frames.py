from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mobile_vla.config.ingest import Images
from mobile_vla.conventions import FRAME_SHAPE
from mobile_vla.data import frames as module
from mobile_vla.data.frames import FrameStore
from mobile_vla.errors import UserError
from mobile_vla.files import sha256_of
from mobile_vla.ingest.resize import to_frame


def stripes(height=720, width=1280):
    """Red in the left eighth, blue in the right eighth, green between."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[:, : width // 8, 0] = 255
    image[:, width // 8 : -width // 8, 1] = 255
    image[:, -width // 8 :, 2] = 255
    return image


def test_squeeze_keeps_the_whole_image():
    frame = to_frame(stripes(), Images(resize="squeeze"))
    assert frame.shape == FRAME_SHAPE and frame.dtype == np.uint8
    assert frame[100, 2].tolist() == [255, 0, 0]
    assert frame[100, 112].tolist() == [0, 255, 0]
    assert frame[100, -3].tolist() == [0, 0, 255]


def test_crop_keeps_the_centre():
    frame = to_frame(stripes(), Images(resize="crop"))
    assert frame.shape == FRAME_SHAPE
    assert (frame == [0, 255, 0]).all()


def test_crop_equals_the_processors_resize_and_centre():
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    whole = np.asarray(Image.fromarray(image).resize((398, 224), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(to_frame(image, Images(resize="crop")), whole[:, 87 : 87 + 224])


@pytest.mark.parametrize("resize", ["squeeze", "crop"])
def test_bgr_is_swapped(resize):
    image = np.random.default_rng(0).integers(0, 256, (72, 128, 3), dtype=np.uint8)
    expected = to_frame(image, Images(resize=resize))
    swapped = np.ascontiguousarray(image[..., ::-1])
    np.testing.assert_array_equal(to_frame(swapped, Images(resize=resize, color="bgr")), expected)


def test_an_upright_image_is_cropped_too():
    assert to_frame(stripes(300, 100), Images(resize="crop")).shape == FRAME_SHAPE


@pytest.fixture
def files(tmp_path):
    """Return the paths, lengths and digests of four episodes."""
    lengths = [2, 0, 3, 1]
    paths, row = [], 0
    for index, length in enumerate(lengths):
        paths.append(tmp_path / f"{index}.npy")
        frames = np.empty((length, *FRAME_SHAPE), dtype=np.uint8)
        for frame in frames:
            frame[:] = row
            row += 1
        np.save(paths[-1], frames)
    return paths, lengths, [sha256_of(path) for path in paths]


@pytest.fixture
def store(files):
    return FrameStore(*files)


def test_rows_lead_into_their_episodes(store):
    assert len(store) == 6
    frames = store[np.array([5, 0, 2, 4, 0, 1, 3])]
    assert frames.shape == (7, *FRAME_SHAPE)
    assert frames[:, 0, 0, 0].tolist() == [5, 0, 2, 4, 0, 1, 3]
    assert frames[:, -1, -1, -1].tolist() == [5, 0, 2, 4, 0, 1, 3]


def test_no_rows_give_no_frames(store):
    assert store[np.array([], dtype=np.int64)].shape == (0, *FRAME_SHAPE)


@pytest.mark.parametrize("row", [-1, 6])
def test_rows_outside_are_refused(store, row):
    with pytest.raises(IndexError):
        store[np.array([row])]


def test_few_files_stay_open(files, monkeypatch):
    monkeypatch.setattr(module, "OPEN_FILES", 1)
    store = FrameStore(*files)
    assert store[np.array([0, 2, 5, 0])][:, 0, 0, 0].tolist() == [0, 2, 5, 0]
    assert store._map.cache_info().currsize == 1


def test_a_damaged_or_missing_file_is_a_users_error(store, tmp_path):
    with (tmp_path / "2.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(UserError, match=r"2\.npy: its bytes are not those that ingest wrote"):
        store[np.array([3])]
    (tmp_path / "0.npy").unlink()
    with pytest.raises(UserError, match=r"0\.npy: not readable as frames"):
        store[np.array([0])]


def test_a_file_of_another_length_than_the_manifest_says_is_a_users_error(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, *FRAME_SHAPE), dtype=np.uint8))
    store = FrameStore([path], [3], [sha256_of(path)])
    with pytest.raises(UserError, match=r"a\.npy: found uint8 \(2, 224, 224, 3\)"):
        store[np.array([2])]
