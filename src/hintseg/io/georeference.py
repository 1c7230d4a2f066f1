"""Masks as GeoTIFF that lie where their images lie."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import ConfigError, InputError
from hintseg.io.class_list import as_description
from hintseg.io.images import read_orientation
from hintseg.io.palette import label_palette
from hintseg.io.pillow import oriented
from hintseg.io.rasters import open_with_gdal, require_rasterio
from hintseg.io.storage.outputs import marked

UNTURNED = {6: 8, 8: 6}  # the orientation that takes another one back; all others take themselves back

LARGEST = 1e9  # of a transform in any unit; beyond, PROJ counts for hours
TRUE_AREA = 0.01  # by which areas of UTM and national grids may differ from those on the ground

NODATA = 255  # `hints.labels.IGNORE_INDEX`
log = logging.getLogger("hintseg")
_said = set[str]()  # kinds of warnings


def write_georeferenced(
    path: Path, labels: NDArray[np.uint8], like: Path, classes: Sequence[str] = (), source: str = "",
    colors: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write a label map as a compressed GeoTIFF where `like` lies; its palette is that of the PNGs, ignored is nodata.

    Args:
        path: target file.
        labels: (H, W) uint8.
        like: the image.
        classes: names by label, which the file then says.
        source: mark of the image, which the file then says; see `storage.outputs.marked`.
        colors: "#rrggbb" by label, where somebody chose them.

    Raises:
        ConfigError: rasterio is not installed.
        InputError: `like` has no place on Earth, or cannot be read.
    """
    rasterio = require_rasterio("GeoTIFF")
    orientation = read_orientation(like)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        placed, rpcs = _place(rasterio, like)
        # The place is that of the pixels as they are stored.
        labels = oriented(labels, UNTURNED.get(orientation, orientation))
        profile = {
            "driver": "GTiff", "height": labels.shape[0], "width": labels.shape[1], "count": 1, "dtype": "uint8",
            "compress": "deflate", "tiled": True, "nodata": NODATA, **placed,
        }  # fmt: skip
        with rasterio.MemoryFile() as memory:
            with memory.open(**profile) as target:
                target.write(labels, 1)
                target.update_tags(TIFFTAG_SOFTWARE=marked(labels, source))
                if told := as_description(classes):
                    target.update_tags(TIFFTAG_IMAGEDESCRIPTION=told)
                palette = label_palette(colors).tolist()
                target.write_colormap(1, {index: (*color, 255) for index, color in enumerate(palette)})
                if rpcs is not None:
                    target.rpcs = rpcs
            with memory.open() as written:
                if len(written.files) > 1:  # what GeoTIFF lacks, GDAL puts beside it
                    raise InputError(
                        f"{like}: GeoTIFF cannot hold its coordinate system; reproject it first, or write PNGs."
                    )
            path.write_bytes(memory.read())  # on a full disk GDAL itself would leave a part, and say nothing


def _place(rasterio: Any, like: Path) -> tuple[dict[str, Any], Any]:
    """Where an image lies, as rasterio's profile has it, and its rational polynomial coefficients.

    A transform without a coordinate system, as of a local survey grid or a world file, is a place, too.
    """
    try:
        with open_with_gdal(rasterio, like) as source:
            crs, transform, rpcs, (points, points_crs) = source.crs, source.transform, source.rpcs, source.gcps
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{like}: its georeference cannot be read ({error}); export it in another format.") from error
    if points and points_crs is None:
        raise InputError(
            f"{like}: has ground control points without a coordinate system, so its mask cannot be placed; "
            "export it in another format."
        )
    if points:
        return {"gcps": points, "crs": points_crs}, rpcs
    if crs is None and transform.is_identity and rpcs is None:
        raise InputError(f"{like}: carries no georeference, so its mask cannot; export it in another format.")
    return {"crs": crs, **({} if transform.is_identity else {"transform": transform})}, rpcs


def _warn_once(kind: str, sentence: str) -> None:
    if kind not in _said:
        _said.add(kind)
        log.warning("%s", sentence)


def pixel_area(path: Path) -> float | None:
    """Square metres of a pixel; None where the file has no place on Earth in metres or feet, or nothing can read it.

    Degrees have no area of their own, and a local grid does not say its unit. Where the projection enlarges areas, as
    Mercator's does, the area is that on the ground; None where that differs within the image.
    """
    try:
        rasterio = require_rasterio("the scale of an image")
    except ConfigError as error:
        if path.suffix.lower() in (".tif", ".tiff"):
            _warn_once("rasterio", str(error))
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with open_with_gdal(rasterio, path) as source:
                crs, transform, size = source.crs, source.transform, (source.height, source.width)
        except rasterio.errors.RasterioError:
            return None
    if crs is None or not crs.is_projected or transform.is_identity or max(map(abs, transform)) > LARGEST:
        return None
    area = float(abs(transform.determinant) * crs.linear_units_factor[1] ** 2)
    ground = _ground_areas(rasterio, crs, transform, size)
    if ground is None:
        return None
    if np.abs(ground / area - 1).max() < TRUE_AREA:
        return area
    if np.ptp(ground) > TRUE_AREA * ground.mean():
        _warn_once(
            "areas",
            f"{path}: its pixels have different areas on the ground, so it gets no square meters; reproject it to UTM "
            "or another projection for its region. Further ones are not named.",
        )
        return None
    return float(ground.mean())


def _ground_areas(rasterio: Any, crs: Any, transform: Any, size: tuple[int, int]) -> NDArray[np.float64] | None:
    """(5,) square metres of the pixels in the corners and the middle; None where they are in no place on Earth."""
    from rasterio.warp import transform as reproject

    (height, width), degrees = size, "EPSG:4326"
    at = np.array([(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1), (width // 2, height // 2)], float)
    corners = at[:, None] + [(0, 0), (1, 0), (1, 1), (0, 1)]
    x, y = transform * corners.reshape(-1, 2).T
    try:
        longitude, latitude = map(np.array, reproject(crs, degrees, x, y))
        # Lambert's azimuthal projection is true to area.
        around = rasterio.crs.CRS.from_proj4(f"+proj=laea +lat_0={latitude[-1]} +lon_0={longitude[-1]} +datum=WGS84")
        x, y = (np.reshape(found, (5, 4)) for found in reproject(degrees, around, longitude, latitude))
    except Exception:  # errors of GDAL itself have no public class
        return None
    ring = x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)
    areas = np.abs(ring.sum(axis=1)) / 2
    return areas if np.isfinite(areas).all() and (areas > 0).all() else None
