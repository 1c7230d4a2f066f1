"""Images of Label Studio's tasks, kept on disk by task and address."""

import hashlib
import logging
from pathlib import Path
from typing import Any

from hintseg.apps.studio.label_studio import LabelStudio
from hintseg.apps.studio.labeling import image_address, image_suffix, unsigned
from hintseg.errors import InputError
from hintseg.io.images import read_image
from hintseg.io.writing import atomic_path

log = logging.getLogger("hintseg")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def kept_image(folder: Path, studio: LabelStudio, task: dict[str, Any], field: str | None, again: bool = False) -> Path:
    """The task's image below FOLDER/photographs, fetched once for every address.

    Args:
        field: of its data that the labeling page shows; None: the only one that can be an image.
        again: fetch it even so, since another image may lie behind the address by now; if it cannot be, the kept one
            stays, with a warning.

    Raises:
        InputError: the task names none, or it cannot be fetched or decoded.
    """
    number = task.get("id")
    if type(number) is not int or not 0 <= number < 2**63:
        raise InputError(f"task {number!r:.40}: its 'id' must be a whole number.")
    address = image_address(task, field)
    mark = hashlib.sha256(unsigned(address).encode("utf-8", "replace")).hexdigest()[:12]
    stem = folder / "photographs" / f"task-{number}-{mark}"
    suffix = image_suffix(address)
    kept = [stem.with_suffix(end) for end in ([suffix] if suffix else [".png", ".tif"])]
    there = next((path for path in kept if path.exists()), None)
    if there is not None and not again:
        return there
    try:
        content = studio.get(address)
        if there is not None and there.read_bytes() == content:
            return there
        path = kept[-1] if content[:4] in TIFF else kept[0]
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
            _require_image(temporary, content, address)
    except InputError as error:
        if there is None:
            raise InputError(f"task {number}: {error}") from error
        log.warning("task %d: %s The image that was fetched before is used.", number, error)
        return there
    if there is not None and there != path:
        there.unlink()
    return path


def _require_image(path: Path, content: bytes, address: str) -> None:
    try:
        read_image(path)
    except InputError as error:
        what = "a web page" if content.lstrip()[:1] == b"<" else f"{len(content)} bytes"
        raise InputError(f"{address.split('?')[0]:.200} is {what}, not an image that can be read.") from error
