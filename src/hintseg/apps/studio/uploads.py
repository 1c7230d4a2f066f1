"""Uploaded images: a name that is safe in a folder, a content that can be decoded, no hints of an earlier image."""

import re
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import IMAGE_SUFFIXES, read_image

LONGEST = 200  # bytes of a file name


def decoded_upload(name: str, content: bytes) -> str:
    """Decode an uploaded image and return the file name it gets.

    Raises:
        InputError: no image, of an unknown format, or its name cannot be one.
    """
    last = unicodedata.normalize("NFC", Path(name.replace("\\", "/")).name)
    plain = re.sub(r"[^\w. -]", "_", last).lstrip(". ")
    suffix = Path(plain).suffix.lower()
    if suffix not in IMAGE_SUFFIXES or not Path(plain).stem or len(plain.encode()) > LONGEST:
        raise InputError(f"{name:.80}: is no image; use {', '.join(IMAGE_SUFFIXES)} and a shorter name.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"upload{suffix}"
        copy.write_bytes(content)
        try:
            read_image(copy)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), name)) from error
    return plain


def orphaned(dataset: Dataset, keys: Iterable[str]) -> set[str]:
    """Those keys without an image that have hints or label maps, which an image of that name would get.

    Raises:
        InputError: a table of hints cannot be read.
    """
    named = frozenset[str]().union(*dataset.hint_keys().values())
    mapped = {key for key in keys if any(dataset.label_path(folder, key) for folder in dataset.label_maps)}
    return (mapped | named.intersection(keys)) - dataset.paths.keys()
