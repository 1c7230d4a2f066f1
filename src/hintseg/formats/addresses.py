"""Which images a Label Studio task is about: by path or URL, uploaded, local, presigned, several of them."""

import base64
import binascii
import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hintseg.errors import InputError
from hintseg.formats.reader import Imported
from hintseg.io.images import IMAGE_SUFFIXES

UPLOADED = re.compile(r"(^|/)[0-9a-f]{8}-(?=[^/]*$)")  # what the server puts before a file's name
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
Place = tuple[str, int | None]  # a field of a task's data, and the row where it is a list


class Addresses:
    """Images that the tasks of one export name.

    Args:
        path: the export.
        found: where images are added.
    """

    def __init__(self, path: Path, found: Imported) -> None:
        self.path = path
        self.found = found
        self.every: dict[Place, str] = {}  # images of the last task, there or not
        self.named: dict[str, str] = {}  # key → its address

    def of_task(self, data: dict[str, Any], where: str) -> dict[Place, str]:
        """Place in a task's data → address. Of several, those that exist, if any does.

        Raises:
            InputError: it names none.
        """
        texts: dict[Place, str] = {}
        for name, value in data.items():
            rows: list[Any] = value if isinstance(value, list) else [value]
            for row, text in enumerate(rows):
                if isinstance(text, str):
                    texts[name, row if isinstance(value, list) else None] = plain(text)
        images = {place: text for place, text in texts.items() if suffix(text) in IMAGE_SUFFIXES}
        if not images:
            images = {place: text for place, text in texts.items() if self._exists(text)}
        if not images:
            if any(suffix(text) in VIDEOS for text in texts.values()):
                raise InputError(f"{where}: is about a video, which is not read; annotate single frames as images.")
            raise InputError(f"{where}: the field 'data' names no image.")
        self.every = images
        if len(images) > 1:
            return {place: text for place, text in images.items() if self._exists(text)} or images
        return images

    def of_result(self, result: dict[str, Any], images: dict[Place, str], data: dict[str, Any]) -> str | None:
        """Address of the image that a result is about; None where it cannot be told, or where that image is missing.

        A result says the name of its `<Image>` tag, which is taken for the field of that name, and the page. A name
        that is no field may mean any image of the task, the missing ones, too.
        """
        name, row = result.get("to_name"), result.get("item_index")
        if not isinstance(name, str):
            name = None
        if name in data and not any(field == name for field, _ in self.every):
            return None  # about a text, or another thing that is no image
        meant = {place: text for place, text in self.every.items() if place[0] == name} or self.every
        listed = len({field for field, _ in meant}) == 1 and None not in {page for _, page in meant}
        if listed and isinstance(row, int):
            meant = {place: text for place, text in meant.items() if place[1] == row}
        return next((text for place, text in meant.items() if place in images), None) if _is_one(meant) else None

    def add(self, address: str, declared: tuple[int, int] | None, where: str) -> str:
        """Key of an image, with and without the prefix of an upload.

        Raises:
            InputError: there is none, or another address means the same file.
        """
        name = address if self.found.has_image(address, self.path) else UPLOADED.sub(r"\1", address)
        key = self.found.add_image(name, self.path, declared)
        if key in self.named:
            self.found.note(
                f"{self.path.name}: images are in several tasks; where their regions overlap, the later one counts."
            )
        known = self.named.setdefault(key, address)
        if UPLOADED.search(known) and UPLOADED.search(address) and known != address and name != address:
            raise InputError(
                f"{where}: {known!r:.80} and {address!r:.80} were uploaded one by one, but only "
                f"{self.found.images[key]} is there; name the files as they are called in Label Studio."
            )
        return key

    def _exists(self, address: str) -> bool:
        return any(self.found.has_image(name, self.path) for name in (address, UPLOADED.sub(r"\1", address)))


def _is_one(places: dict[Place, str]) -> bool:
    return len(set(places.values())) == 1


def plain(address: str) -> str:
    """The path in an address of Label Studio's own: of local files, and of a cloud's that it signs."""
    if "/data/local-files" in address:
        return next(iter(parse_qs(urlsplit(address).query).get("d", ())), address)
    if re.search(r"/(resolve|presign)/?\?", address):
        encoded = next(iter(parse_qs(urlsplit(address).query).get("fileuri", ())), "")
        try:
            return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode() or address
        except (binascii.Error, ValueError):
            return address
    return address


def suffix(address: str) -> str:
    """The suffix in lower case, of an address with or without a query."""
    found = PurePosixPath(address).suffix.lower()
    return found if found in IMAGE_SUFFIXES else PurePosixPath(re.split("[?#]", address)[0]).suffix.lower()
