"""Which images masks are of: those of their names, unless the masks say that they were made of others."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hintseg.apps.batch_inference.complete import shown_mark
from hintseg.apps.batch_inference.input_images import find_images
from hintseg.apps.batch_inference.sources import READERS, recorded_marks, source_mark
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.label_maps import list_label_maps
from hintseg.io.listing import composed
from hintseg.io.samples import PLAIN, Limits
from hintseg.io.storage.addresses import is_remote
from hintseg.io.storage.files import below

log = logging.getLogger("hintseg")


def images_of_masks(masks: Path, folder: Path, address: str, is_named: bool) -> dict[str, Path]:
    """Name → file of all images of a folder, after a look at what the masks of their names were made of.

    Args:
        masks: folder of label maps; one that does not say of what it was made may be of any image.
        folder: of the images.
        address: of the same folder; masks that were made there carry other marks than those of a copy on this machine.
        is_named: the user named the folder, which may hold the images in another format: differences are only said.

    Raises:
        InputError: there are no images, or masks were made of others and the user did not name the folder.
    """
    images = {image.name: Path(image.source) for image in find_images([folder])}
    found = list_label_maps(masks).files
    names = [name for name in images if composed(name) in found]
    recorded = recorded_marks([str(found[composed(name)]) for name in names])
    told = {name: mark for name, mark in zip(names, recorded, strict=True) if mark}
    with ThreadPoolExecutor(READERS) as pool:
        own = dict(zip(told, pool.map(lambda name: _marks(images[name], folder, address), told), strict=True))
    others = [name for name, marks in own.items() if marks and told[name] not in marks]
    if others:
        stretch = _stretch(folder.parent)
        others = [name for name in others if told[name] not in {shown_mark(mark, stretch) for mark in own[name]}]
    if others:
        is_sure = stretch == PLAIN.stretch  # else the contrast that all images share may have changed alone
        sentence = (
            f"{masks}: {len(others)} of {len(names)} masks were made of other images than those of their names in "
            f"{folder}, or these changed since{'' if is_sure else ', or their common contrast'} (e.g. {others[0]})"
        )
        if is_sure and not is_named:
            raise InputError(f"{sentence}; name the folder of their images by --images, or make the masks again.")
        log.warning("%s.", sentence)
    return images


def _marks(image: Path, folder: Path, address: str) -> set[str]:
    """What a mask says that was made of an image, of the file or at its address; nothing where it cannot be read."""
    there = [below(address, image.relative_to(folder).as_posix())] if is_remote(address) else []
    try:
        return {source_mark(one) for one in (str(image), *there)}
    except InputError:
        return set()


def _stretch(data: Path) -> Limits | str:
    """How the images of a data set are shown, which decides over masks that are made without a run."""
    try:
        return Dataset.open(data).shown.stretch
    except InputError:
        return PLAIN.stretch
