"""Marks of source images, which their masks carry: so a resumed call notices images that were replaced since."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hintseg.apps.batch_inference.input_images import InputImage
from hintseg.errors import InputError
from hintseg.io.listing import require_file
from hintseg.io.pillow import is_tiff
from hintseg.io.rasters import mask_beside
from hintseg.io.storage.addresses import is_remote, local_path
from hintseg.io.storage.files import local_file, read_ends, stamp_of
from hintseg.io.storage.outputs import ENDS, MARK, is_cut, is_cut_tiff

DIGITS = 20
READERS = 16  # files read at once; most of the time goes by in waiting for disks and stores
log = logging.getLogger("hintseg")


def source_mark(address: str) -> str:
    """A digest of an image's bytes, or of what its store says of them, which saves fetching them once more.

    The mask beside a TIFF on this machine counts, too; of one at an address none is read.

    A plain copy of a file has the same mark, whatever its name and time.

    Raises:
        InputError: it cannot be read.
    """
    stamp = stamp_of(address)
    if stamp is not None:
        return hashlib.sha256(stamp.encode()).hexdigest()[:DIGITS]
    with local_file(address) as path:
        require_file(path)
        try:
            digest = _digest(path)
            if (beside := mask_beside(path)) is not None and is_tiff(path):
                digest.update(_digest(beside).digest())
        except OSError as error:
            raise InputError(f"{address}: cannot be read ({error.strerror}).") from error
        return digest.hexdigest()[:DIGITS]


def _digest(path: Path) -> "hashlib._Hash":
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def recorded_marks(masks: Sequence[str]) -> list[str | None]:
    """The mark of its source that each mask carries; None of those that an earlier version wrote, "" of cut ones."""
    pattern = re.compile(rb"%b, source ([0-9a-f]+)" % MARK.encode())

    def recorded(mask: str) -> str | None:
        ends = read_ends(mask, ENDS)
        found = pattern.search(ends)
        if is_cut(ends) or (not is_remote(mask) and is_cut_tiff(local_path(mask))):
            return ""
        return found[1].decode() if found else None

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(recorded, masks))


def changed_images(
    told: Mapping[str, str | None], images: Iterable[InputImage], mark_of: Callable[[InputImage], str]
) -> frozenset[str]:
    """Names of the images whose masks were made of another content; says how many these are.

    Args:
        told: name → the mark that its mask carries, None where it carries none.
        images: the sources as they are now.
        mark_of: image → its mark; one that cannot be read counts as changed.
    """

    def mark(image: InputImage) -> str | None:
        try:
            return mark_of(image)
        except InputError:
            return None

    finished = [image for image in images if image.name in told]
    known = [image for image in finished if told[image.name] is not None]
    if known:
        log.info("comparing %d images with those of which the masks were made", len(known))
    with ThreadPoolExecutor(READERS) as pool:
        changed = [one.name for one, now in zip(known, pool.map(mark, known), strict=True) if now != told[one.name]]
    if changed:
        log.warning(
            "%d of %d masks are out of date (e.g. %s): their image, or the contrast that all images share, changed "
            "since. They are made again.",
            len(changed), len(finished), changed[0],
        )  # fmt: skip
    if unknown := len(finished) - len(known):
        log.warning(
            "%d of %d masks do not say of which image they were made (an earlier version wrote them); they are kept. "
            "Where images were replaced since, use --overwrite in place of --resume.",
            unknown, len(finished),
        )  # fmt: skip
    return frozenset(changed)
