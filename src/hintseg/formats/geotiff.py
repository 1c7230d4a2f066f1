"""Masks as GeoTIFF files that lie where their images lie."""

from collections.abc import Iterable
from pathlib import Path

from hintseg.errors import InputError
from hintseg.formats.name_lists import fault
from hintseg.formats.writer import Classes, Labeled, require_lines
from hintseg.io.georeference import write_georeferenced
from hintseg.io.writing import atomic_path, write_text


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/KEY.tif, one band of class indices, and OUT/classes.txt with the names in their order.

    Raises:
        ConfigError: rasterio is not installed.
        InputError: an image without a georeference, or a class name that classes.txt cannot hold.
    """
    require_lines(classes.names, "classes.txt")
    if (wrong := fault(classes.names)) is not None:
        raise InputError(f"the class names cannot be written into classes.txt, {wrong}")
    for item in items:
        with atomic_path(out / f"{item.key}.tif") as temporary:
            write_georeferenced(temporary, item.labels, item.image, classes.names, colors=classes.colors)
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in classes.names))
