"""TIFFs as microscopes, scanners and maps write them: which page, which way up, which channel."""

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from hintseg.errors import InputError
from hintseg.formats.registry import import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.io.georeference import write_georeferenced
from hintseg.io.images import decode_image, read_image, read_image_size, read_labels, write_image
from hintseg.io.samples import BandSelection

rng = np.random.default_rng(0)
LABELS = rng.integers(0, 3, (40, 50)).astype(np.uint8)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", None])
def test_channels_on_pages_of_their_own_are_all_read(tmp_path, compression):
    channels = rng.integers(0, 60_000, (3, 40, 50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "plain.ome.tif", channels, metadata={"axes": "CYX"}, ome=True)
    with tifffile.TiffFile(tmp_path / "plain.ome.tif") as file:
        description = file.pages.first.description
    pages = [Image.fromarray(channel) for channel in channels]
    options = {"compression": compression, "tiffinfo": {270: description}}
    pages[0].save(tmp_path / "a.ome.tif", save_all=True, append_images=pages[1:], **options)
    assert (read_image(tmp_path / "a.ome.tif") == read_image(tmp_path / "plain.ome.tif")).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "RGB", "I;16"])
def test_turned_images_come_upright_in_every_mode(tmp_path, orientation, mode):
    image = Image.fromarray(LABELS.astype(np.uint16)) if mode == "I;16" else Image.fromarray(LABELS).convert(mode)
    image.save(tmp_path / "plain.tif")
    image.save(tmp_path / "a.tif", tiffinfo={274: orientation})
    turn = {2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: lambda a: a.swapaxes(0, 1)}
    turn |= {6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: np.rot90}
    expected = turn.get(orientation, lambda a: a)(read_image(tmp_path / "plain.tif"))
    assert (read_image(tmp_path / "a.tif") == expected).all()
    assert read_image_size(tmp_path / "a.tif") == expected.shape[:2]
    if mode in ("L", "P", "I;16"):
        assert (read_labels(tmp_path / "a.tif") == turn.get(orientation, lambda a: a)(LABELS)).all()


def test_an_orientation_in_xmp_alone_does_not_turn_a_tiff(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    tifffile.imwrite(tmp_path / "a.tif", LABELS, extratags=[(700, "B", len(xmp), xmp, True)])
    assert read_image(tmp_path / "a.tif").shape == (40, 50, 3)
    assert (read_labels(tmp_path / "a.tif") == LABELS).all()


@pytest.mark.parametrize("tiled", [True, False])
def test_pillows_own_limit_of_pixels_does_not_count(tmp_path, monkeypatch, tiled):
    tile = {"tile": (16, 16)} if tiled else {}
    tifffile.imwrite(tmp_path / "a.tif", LABELS, **tile)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert (read_labels(tmp_path / "a.tif") == LABELS).all()
    assert (read_image(tmp_path / "a.tif")[..., 0] == LABELS).all()


@pytest.mark.parametrize("kind", ["pages", "bands"])
def test_label_maps_of_several_channels_are_refused(tmp_path, kind):
    channels = np.stack([label == LABELS for label in range(3)]).astype(np.uint8)
    if kind == "pages":
        tifffile.imwrite(tmp_path / "a.ome.tif", channels, metadata={"axes": "CYX"}, ome=True)
    else:
        options = {"photometric": "minisblack", "extrasamples": [0], "planarconfig": "contig"}
        tifffile.imwrite(tmp_path / "a.ome.tif", channels[:2].transpose(1, 2, 0), **options)
    with pytest.raises(InputError, match="a label map has one channel, but this has"):
        read_labels(tmp_path / "a.ome.tif")


def test_channels_that_a_png_lacks_are_named(tmp_path):
    Image.fromarray(LABELS.astype(np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: has 1 channels, so 'bands' \[0, 1, 2\] cannot be shown"):
        decode_image(tmp_path / "a.png", BandSelection((0, 1, 2)))


def place(path, values, transform):
    with rasterio.open(
        path, "w", driver="GTiff", height=40, width=50, count=len(values), dtype="uint8", crs="EPSG:32632",
        transform=transform,
    ) as target:  # fmt: skip
        target.write(values)


@pytest.mark.parametrize("elsewhere", ["south up", "another tile", "in place"])
def test_label_maps_lie_where_their_image_lies(tmp_path, elsewhere):
    north = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_020)
    other = {"south up": Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000), "another tile": north * Affine.translation(50, 0)}
    for folder, values, transform in (("images", 3, north), ("masks", 1, other.get(elsewhere, north))):
        (tmp_path / "data" / folder).mkdir(parents=True)
        place(tmp_path / f"data/{folder}/a.tif", np.stack([LABELS] * values), transform)
    (tmp_path / "data/classes.txt").write_text("soil\nwheat\nroad\n")
    (tmp_path / "data/dataset.json").write_text('{"classes": ["soil", "wheat", "road"]}')
    if elsewhere == "in place":
        assert (Dataset.open(tmp_path / "data").mask("a") == LABELS).all()
        assert (import_dataset(tmp_path / "data", tmp_path / "out", "png")[0].mask("a") == LABELS).all()
        return
    with pytest.raises(InputError, match=r"masks/a\.tif: lies elsewhere on Earth than its image"):
        Dataset.open(tmp_path / "data").mask("a")
    with pytest.raises(InputError, match="lies elsewhere on Earth than its image"):
        import_dataset(tmp_path / "data", tmp_path / "out", "png")


def test_masks_count_in_label_maps_by_color(tmp_path):
    valid = np.ones((40, 50), bool)
    valid[:10] = False
    colors = np.where(valid, 200, 0).astype(np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    write_image(tmp_path / "data/images/a.png", np.zeros((40, 50, 3), np.uint8))
    place(tmp_path / "data/masks/a.tif", np.stack([colors] * 3), Affine(1, 0, 500_000, 0, -1, 5_000_000))
    with rasterio.open(tmp_path / "data/masks/a.tif", "r+") as file:
        file.write_mask(valid)
    (tmp_path / "data/labelmap.txt").write_text("soil:0,0,0::\nwheat:200,200,200::\n")
    dataset, _ = import_dataset(tmp_path / "data", tmp_path / "out", "png")
    label = dataset.classes.index("wheat")
    found = dataset.hints("a")
    drawn = found.scribbles[0].labels if dataset.mask("a") is None else dataset.mask("a")
    assert (drawn[valid] == label).all()
    assert (drawn[~valid] >= 254).all()


def test_control_points_without_a_coordinate_system_are_named(tmp_path):
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=40, width=50, count=1, dtype="uint8",
        gcps=[GroundControlPoint(r, c, c, -r) for r, c in ((0, 0), (0, 50), (40, 0))], crs=rasterio.crs.CRS(),
    ) as target:  # fmt: skip
        target.write(LABELS, 1)
    with pytest.raises(InputError, match=r"control points without a coordinate system|carries no georeference"):
        write_georeferenced(tmp_path / "m.tif", LABELS, tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["ImageJ", "OME"])
def test_a_page_that_kept_the_description_of_all_is_an_image_of_its_own(tmp_path, kind):
    stack = rng.integers(0, 60_000, (3, 40, 50)).astype(np.uint16)
    options = {"imagej": True} if kind == "ImageJ" else {"ome": True}
    tifffile.imwrite(tmp_path / "all.tif", stack, metadata={"axes": "ZYX" if kind == "ImageJ" else "CYX"}, **options)
    with tifffile.TiffFile(tmp_path / "all.tif") as file:
        description = file.pages.first.description
    tifffile.imwrite(tmp_path / "page.tif", stack[1], description=description, metadata=None)
    tifffile.imwrite(tmp_path / "plain.tif", stack[1])
    assert (read_image(tmp_path / "page.tif") == read_image(tmp_path / "plain.tif")).all()


def test_codecs_that_gdal_has_are_read(tmp_path):
    values = rng.integers(0, 60_000, (3, 40, 50)).astype(np.uint16)
    for name, compression in (("a", "zstd"), ("plain", "deflate")):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", height=40, width=50, count=3, dtype="uint16",
            compress=compression, photometric="RGB", transform=Affine(1, 0, 500_000, 0, -1, 5_000_000),
        ) as target:  # fmt: skip
            target.write(values)
    assert (read_image(tmp_path / "a.tif") == read_image(tmp_path / "plain.tif")).all()


def test_an_image_that_cannot_be_read_stops_no_import_of_the_others(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name in "ab":
            tifffile.imwrite(tmp_path / f"data/{folder}/{name}.tif", LABELS)
    (tmp_path / "data/images/b.tif").write_bytes((tmp_path / "data/images/b.tif").read_bytes()[:200])
    (tmp_path / "data/classes.txt").write_text("soil\nwheat\nroad\n")
    dataset, found = import_dataset(tmp_path / "data", tmp_path / "out", "png")
    assert list(dataset.paths) == ["a"]
    assert any("b.tif: cannot be decoded" in note for note in found.notes)
