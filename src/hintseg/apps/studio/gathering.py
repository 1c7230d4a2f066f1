"""A folder of images becomes a project."""

import logging
from pathlib import Path

from hintseg.errors import RunError
from hintseg.io.listing import is_image_name
from hintseg.io.writing import link_or_copy

log = logging.getLogger(__name__)


def gather_images(root: Path) -> None:
    """Link images that lie in the folder itself into images/, where there is none; what is not taken is said.

    Raises:
        RunError: it cannot be written.
    """
    images = root / "images"
    loose = [path for path in sorted(root.glob("*")) if is_image_name(path.name) and path.is_file()]
    if images.is_dir():
        names = {path.name for path in images.iterdir()}
        if left := [path.name for path in loose if path.name not in names]:
            log.warning(
                "%s: %d images beside its folder images/ are not taken (first %s); put these into it.", root, len(left),
                left[0],
            )  # fmt: skip
        return
    deeper = sum(is_image_name(path.name) and path.is_file() for path in root.glob("[!.]*/*"))
    try:
        images.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{images}: cannot be made ({error.strerror}); choose another folder.") from error
    for path in loose:
        if path.is_file():
            link_or_copy(path.resolve(), images / path.name)  # a link to a link would lead astray
    if deeper:
        log.warning("%s: %d images of its sub-folders are not taken; put these into images/.", root, deeper)
