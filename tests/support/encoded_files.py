"""Images as JPEG and PNG files in a dataset, as many collectors store them."""

from __future__ import annotations

import io

import h5py
import numpy as np
from PIL import Image

from support.episode_corruptions import edit


def files_of(images, kind, mode="RGB"):
    """Return each image as the bytes of a file."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).convert(mode).save(file, kind)
        files.append(file.getvalue())
    return files


def any_length(files):
    """Return rows of bytes of any length."""
    rows = np.empty(len(files), dtype=object)
    for index, content in enumerate(files):
        rows[index] = np.frombuffer(content, dtype=np.uint8)
    return rows


def encoded_images(change=lambda files: files, kind="JPEG", mode="RGB"):
    """Store the images as files of bytes of any length."""

    def spoil(file):
        files = change(files_of(file["images"][()], kind, mode))
        del file["images"]
        file.create_dataset("images", data=any_length(files), dtype=h5py.vlen_dtype(np.uint8))

    return edit(spoil)
