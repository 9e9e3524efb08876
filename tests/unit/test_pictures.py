"""A camera's pictures: whole ones are decoded as before, damaged and dear ones are refused."""

import contextlib
import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from mobile_vla.serving.pictures import MAX_PIXELS, Unusable, decode, layout_of, orientation_of
from support.policy_server import encoded


def photo(height=120, width=160, seed=0):
    """Return a picture that is smooth with some noise, as photographs are."""
    rng = np.random.default_rng(seed)
    waves = np.cumsum(np.cumsum(rng.normal(0, 1, (height, width, 3)), axis=0), axis=1)
    values = 128 + 100 * np.sin(waves / 40) + rng.normal(0, 4, waves.shape)
    return np.clip(values, 0, 255).astype(np.uint8)


def plainly(data):
    """Return what Pillow makes of a picture by itself."""
    return np.asarray(Image.open(io.BytesIO(data)))


KINDS = {
    "as Pillow writes it": {},
    "fine": {"quality": 95, "subsampling": 0},
    "coarse": {"quality": 20},
    "with tables of its own": {"optimize": True},
    "4:2:2": {"subsampling": 1},
    "with restarts": {"restart_marker_rows": 1},
    "with many restarts": {"restart_marker_blocks": 3},
    "with a profile and a comment": {"icc_profile": bytes(70_000), "comment": b"x" * 1000},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_whole_pictures_are_decoded_as_pillow_decodes_them(options):
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (8, 8), (16, 16), (17, 9), (224, 224), *rng.integers(1, 70, (30, 2)).tolist()]
    for number, (height, width) in enumerate(sizes):
        for image in (photo(height, width, number), np.zeros((height, width, 3), dtype=np.uint8)):
            data = encoded(image, "JPEG", **options)
            np.testing.assert_array_equal(decode(data), plainly(data))
            # some cameras fill their buffers up behind the picture
            np.testing.assert_array_equal(decode(data + bytes(100)), plainly(data))


def test_a_png_is_decoded_without_loss():
    image = photo()
    np.testing.assert_array_equal(decode(encoded(image, "PNG")), image)


def flip(data, place, rng):
    data[place] ^= 1 << int(rng.integers(8))


def overwrite(data, place, rng):
    data[place] = (data[place] + int(rng.integers(1, 256))) % 256


def lose(data, place, rng):
    del data[place : place + int(rng.integers(1, 200))]


def blank(data, place, rng):
    data[place : place + 64] = bytes(len(data[place : place + 64]))


def end(data, place, rng):
    del data[place:]


# Of 200 each, at most so many are let through. Of those libjpeg-turbo does not warn either, by what
# OpenCV prints of its warnings, but for 5 of a kind at most: values changed and not their number.
DAMAGE = {flip: 165, overwrite: 140, lose: 65, blank: 115, end: 0}


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}], ids=["plain", "restarts"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_jpeg_is_refused_where_the_decoder_can_know(damage, options):
    whole = encoded(photo(), "JPEG", quality=90, **options)
    pixels = whole.index(b"\xff\xda") + 14
    before = after = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        damage(data, int(rng.integers(pixels, len(data) - 2)), rng)
        with contextlib.suppress(OSError):
            plainly(bytes(data))
            before += 1
        with contextlib.suppress(Unusable):
            decode(bytes(data))
            after += 1
    print(f"{damage.__name__}: {before} of 200 before, {after} now")
    assert before > 190 or damage is end
    assert after <= DAMAGE[damage]


def test_every_changed_byte_of_a_png_is_noticed():
    whole = encoded(photo(20, 30), "PNG")
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x10
        with pytest.raises(Unusable):
            decode(bytes(data))


def test_a_missing_or_misplaced_restart_is_noticed():
    whole = encoded(photo(), "JPEG", restart_marker_rows=1)
    first, second = whole.index(b"\xff\xd0"), whole.index(b"\xff\xd1")
    without = whole[:first] + whole[second:]
    swapped = whole.replace(b"\xff\xd0", b"\xff\xd4")
    for data in (without, swapped):
        plainly(data)  # Pillow fills the gap up
        with pytest.raises(Unusable, match="restart markers"):
            decode(data)


def test_damage_anywhere_is_never_more_than_a_mistake():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    refused = 0
    for kind in ("PNG", "JPEG"):
        whole = encoded(image, kind)
        for _ in range(300):
            spoilt = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            for place in rng.integers(0, len(spoilt), size=3):
                spoilt[place] = rng.integers(256)
            try:
                assert decode(bytes(spoilt)).ndim == 3
            except Unusable:
                refused += 1
    assert refused > 400


def segments(data):
    """Yield the segments of a JPEG up to its pixels, and then those with the rest."""
    place = 2
    while data[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, place + 2)
        yield data[place : place + 2 + length]
        place += 2 + length
    yield data[place:]


def test_a_jpeg_of_thousands_of_scans_is_refused_unseen():
    """47,484 scans in 2 MB kept a decoder busy for 12 s."""
    data = encoded(np.full((4096, 4096, 3), 50, dtype=np.uint8), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    many = data[:-2] + last * (2_000_000 // len(last)) + b"\xff\xd9"
    begun = time.process_time()
    with pytest.raises(Unusable, match="progressive"):
        decode(many)
    refused = time.process_time() - begun
    begun = time.process_time()
    decode(encoded(np.zeros((300, 300, 3), dtype=np.uint8), "JPEG"))
    assert refused < 10 * (time.process_time() - begun)


def test_scans_segments_and_chunks_are_bounded():
    whole = encoded(photo(16, 16), "JPEG")
    scan = whole[whole.index(b"\xff\xda") : -2]
    comment = b"\xff\xfe\x00\x02"
    for data, match in (
        (whole[:-2] + scan * 50_000 + b"\xff\xd9", "several scans"),
        (whole[:2] + comment * 100_000 + whole[2:], "segments"),
        (whole[:2] + b"\xff" * 100_000 + whole[2:], "segments"),
    ):
        with pytest.raises(Unusable, match=match):
            decode(data)
    png = encoded(photo(16, 16), "PNG")
    text = struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    np.testing.assert_array_equal(decode(png[:-12] + text * 10 + png[-12:]), photo(16, 16))
    with pytest.raises(Unusable, match="chunks"):
        decode(png[:-12] + text * 100_000 + png[-12:])


def test_a_picture_that_would_fill_the_memory_is_refused_unseen():
    for kind in ("PNG", "JPEG"):
        data = bytearray(encoded(photo(16, 16), kind))
        if kind == "PNG":
            data[16:24] = struct.pack(">II", 5000, 5000)
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        else:
            place = data.index(b"\xff\xc0") + 5
            data[place : place + 4] = struct.pack(">HH", 5000, 5000)
        with pytest.raises(Unusable, match="5000×5000 pixels"):
            layout_of(bytes(data))
    assert MAX_PIXELS < 5000 * 5000


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_a_picture_stands_upright_by_its_orientation(kind, order):
    image = photo(40, 60)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif.endian = "<" if order == "little" else ">"
        exif[0x010F], exif[0x0112] = "a camera", orientation
        data = encoded(image, kind, exif=exif.tobytes())
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(decode(data), np.asarray(upright))
        assert decode(data).shape[:2] == ((60, 40) if orientation > 4 else (40, 60))


def test_an_orientation_that_cannot_be_read_is_none():
    for exif in (b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + bytes(50)):
        assert orientation_of(exif) == 1


def test_restarts_are_bounded():
    fine = encoded(photo(480, 640), "JPEG", restart_marker_blocks=3)
    np.testing.assert_array_equal(decode(fine), plainly(fine))
    with pytest.raises(Unusable, match="restart intervals"):
        decode(encoded(photo(480, 640), "JPEG", restart_marker_blocks=1))
