"""TIFF files of microscopes and maps: channels, samples, stacks, codecs, places on Earth."""

import json
import struct
import sys
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin
from typer.testing import CliRunner

from hintseg import Segmenter, train
from hintseg.apps.cli.app import app
from hintseg.errors import ConfigError, InputError
from hintseg.formats.registry import export_masks
from hintseg.formats.writer import Classes
from hintseg.hints.dataset import Dataset
from hintseg.inference.run_config import RunConfig
from hintseg.io import rasters
from hintseg.io.georeference import write_georeferenced
from hintseg.io.images import read_image, read_image_size, read_label_map, read_labels, write_labels
from hintseg.io.palette import label_palette
from hintseg.io.rasters import read_raster
from hintseg.io.samples import BandSelection
from hintseg.io.storage.outputs import is_made_here


def samples(*shape, top=4000, dtype=np.uint16, seed=0):
    return (np.random.default_rng(seed).random(shape) * top).astype(dtype)


def place(path, bands, crs="EPSG:32632", **more):
    profile = {"driver": "GTiff", "count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(
        path, "w", dtype=bands.dtype, crs=crs, transform=from_origin(500_000, 5_400_000, 0.5, 0.5), **profile, **more
    ) as target:
        target.write(bands)


@pytest.mark.parametrize("axes", ["CYX", "YXS", "planar"])
def test_the_first_three_channels_are_shown_and_stretched_together(tmp_path, axes):
    data = samples(5, 12, 17)
    path = tmp_path / "a.tif"
    if axes == "CYX":
        tifffile.imwrite(path, data, imagej=True, metadata={"axes": "CYX"})
    elif axes == "YXS":
        tifffile.imwrite(path, data.transpose(1, 2, 0), photometric="minisblack", planarconfig="contig")
    else:
        tifffile.imwrite(path, data, photometric="minisblack", planarconfig="separate")
    low, high = np.percentile(data[:3], [0.5, 99.5])
    expected = np.round(((data[:3] - low) / (high - low)).clip(0, 1) * 255).transpose(1, 2, 0)
    assert (read_image(path) == expected.astype(np.uint8)).all()
    assert read_image_size(path) == (12, 17)


def test_bands_and_range_say_what_is_shown(tmp_path):
    data = samples(4, 6, 7)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack", planarconfig="separate")
    shown = read_image(path, BandSelection((3, 0, 1), (1000, 3000)))
    for place_, band in enumerate((3, 0, 1)):
        expected = ((data[band].astype(np.float64) - 1000) / 2000 * 255).round().clip(0, 255)
        assert np.abs(shown[..., place_] - expected).max() <= 1
    gray = read_image(path, BandSelection((2,)))
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (gray[..., 0] == gray[..., 2]).all()
    with pytest.raises(InputError, match=r"has 4 channels, so 'bands' \[4\] cannot be shown"):
        read_image(path, BandSelection((4,)))


def test_two_channels_are_red_and_green(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", samples(2, 6, 7), imagej=True, metadata={"axes": "CYX"})
    shown = read_image(tmp_path / "a.tif")
    assert shown[..., 2].max() == 0
    assert shown[..., :2].max(axis=(0, 1)).min() > 0


def test_photographs_stay_photographs(tmp_path):
    random = np.random.default_rng(0)
    for mode, shape in (("L", (9, 8)), ("RGB", (9, 8, 3)), ("RGBA", (9, 8, 4))):
        picture = Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8), mode)
        for compression in (None, "tiff_lzw"):
            picture.save(tmp_path / "a.tif", compression=compression)
            picture.save(tmp_path / "a.png")
            assert (read_image(tmp_path / "a.tif") == read_image(tmp_path / "a.png")).all(), (mode, compression)


def test_a_fourth_band_that_is_no_transparency_hides_nothing(tmp_path):
    data = samples(9, 8, 4, top=255, dtype=np.uint8)
    data[..., 3] = 0  # near infrared
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", extrasamples=["unspecified"])
    assert (read_image(tmp_path / "a.tif") == data[..., :3]).all()


def test_channels_of_an_ome_tiff_lie_on_pages_of_their_own(tmp_path):
    channels = samples(3, 8, 9, top=255, dtype=np.uint8)
    for name, bands in (("c.ome.tif", channels), ("many.ome.tif", np.concatenate([channels, channels]))):
        tifffile.imwrite(tmp_path / name, bands, photometric="minisblack", ome=True, metadata={"axes": "CYX"})
        np.testing.assert_array_equal(read_image(tmp_path / name), channels.transpose(1, 2, 0))


def test_stacks_broken_and_missing_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", samples(6, 9, 8), imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "whole.tif", samples(5, 90, 80), imagej=True, metadata={"axes": "CYX"})
    (tmp_path / "half.tif").write_bytes((tmp_path / "whole.tif").read_bytes()[:20_000])
    (tmp_path / "none.tif").write_bytes(b"II*\0nonsense")
    with pytest.raises(InputError, match=r"stack.tif: is a stack \(ZYX\), not one image"):
        read_image(tmp_path / "stack.tif")
    for name in ("half", "none", "absent"):
        with pytest.raises(InputError, match=name):
            read_image(tmp_path / f"{name}.tif")


@pytest.mark.parametrize("kind", [2, 5])  # a text, a fraction
def test_a_header_entry_of_the_wrong_type_is_damage(tmp_path, kind):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    entry = struct.pack("<HHI", 262, 3, 1)
    content = path.read_bytes()
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, struct.pack("<HHI", 262, kind, 1)))
    for read in (read_image, read_image_size):
        with pytest.raises(InputError, match=r"a\.tif: cannot be decoded"):
            read(path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((9, 300, 300), np.uint16), compression="zlib", metadata={"axes": "CYX"}
    )
    monkeypatch.setattr(rasters, "MAX_BYTES", 2**20)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)
    with pytest.raises(InputError, match=r"a\.tif: holds 0\.0 GiB of samples, more than can be read"):
        read_image(tmp_path / "a.tif")


def test_other_compressions_are_read_by_rasterio_or_named(tmp_path, monkeypatch):
    data = samples(5, 20, 24)
    place(tmp_path / "a.tif", data, compress="lzw")
    expected = read_raster(tmp_path / "a.tif").pixels
    place(tmp_path / "b.tif", data)
    assert (read_raster(tmp_path / "b.tif").pixels == expected).all()
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(InputError, match=r"a\.tif: .*pip install 'hintseg\[geo\]'"):
        read_raster(tmp_path / "a.tif")


def test_a_mask_lies_where_its_photograph_lies(tmp_path):
    photograph = tmp_path / "field.tif"
    place(photograph, samples(4, 20, 24))
    labels = np.random.default_rng(1).integers(0, 3, (20, 24)).astype(np.uint8)
    write_labels(tmp_path / "masks" / "field.png", labels)
    classes = Classes(("soil", "wheat", "weed"), 0)
    assert export_masks({"field": photograph}, tmp_path / "masks", tmp_path / "out", "geotiff", classes) == 1
    with rasterio.open(tmp_path / "out" / "field.tif") as found, rasterio.open(photograph) as source:
        assert (found.crs, found.transform) == (source.crs, source.transform)
        assert (found.read(1) == labels).all()
        assert found.colormap(1)[2][:3] == tuple(label_palette()[2])
        assert (found.count, found.nodata) == (1, 255)
    assert (tmp_path / "out" / "classes.txt").read_text() == "soil\nwheat\nweed\n"
    assert export_masks({"field": photograph}, tmp_path / "out", tmp_path / "again", "png", classes) == 1
    assert (read_labels(tmp_path / "again" / "masks" / "field.png") == labels).all()
    tifffile.imwrite(tmp_path / "nowhere.tif", samples(20, 24))
    with pytest.raises(InputError, match="carries no georeference"):
        write_georeferenced(tmp_path / "x.tif", labels, tmp_path / "nowhere.tif")


def test_ground_control_points_are_those_of_the_photograph(tmp_path):
    points = [GroundControlPoint(row, col, 9 + col, 48 - row) for row, col in ((0, 0), (0, 24), (20, 0))]
    profile = {"driver": "GTiff", "count": 1, "height": 20, "width": 24, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", gcps=points, crs="EPSG:4326", **profile) as target:
        target.write(samples(1, 20, 24, top=255, dtype=np.uint8))
    write_georeferenced(tmp_path / "mask.tif", np.zeros((20, 24), np.uint8), tmp_path / "a.tif", ("räst", "cow"))
    assert read_label_map(tmp_path / "mask.tif").classes == ("räst", "cow")
    assert is_made_here(str(tmp_path / "mask.tif"))
    with rasterio.open(tmp_path / "mask.tif") as found:
        placed, crs = found.gcps
    assert [(one.row, one.col, one.x, one.y) for one in placed] == [(p.row, p.col, p.x, p.y) for p in points]
    assert crs == rasterio.crs.CRS.from_epsg(4326)


def test_geotiff_without_rasterio_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ConfigError, match=r"pip install 'hintseg\[geo\]'"):
        write_georeferenced(tmp_path / "x.tif", np.zeros((2, 2), np.uint8), tmp_path / "y.tif")


@pytest.mark.parametrize("wrong", [{"bands": [1, 2]}, {"bands": [-1]}, {"bands": 3}, {"range": [5, 5]}, {"range": [1]}])
def test_wrong_bands_and_ranges_are_named(scenes, wrong):
    content = json.loads((scenes.root / "dataset.json").read_text("utf-8"))
    (scenes.root / "dataset.json").write_text(json.dumps(content | wrong), "utf-8")
    with pytest.raises(InputError, match=rf"dataset.json: '{next(iter(wrong))}' must be"):
        Dataset.open(scenes.root)


def test_maps_train_and_are_segmented_as_the_data_set_says(scenes, tiny, tmp_path):
    """Twelve-bit five-band GeoTIFFs whose last three bands are the picture."""
    for path in list(scenes.paths.values()):
        picture = read_image(path).transpose(2, 0, 1).astype(np.uint16) * 10
        noise = samples(2, *picture.shape[1:])
        path.unlink()
        place(path.with_suffix(".tif"), np.concatenate([noise, picture]))
    dataset = replace(Dataset.open(scenes.root), view=BandSelection((2, 3, 4), (0.0, 2550.0)))
    dataset.save_description()
    dataset = Dataset.open(scenes.root)
    key = dataset.keys("val")[0]
    train(dataset, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=2, settings=tiny)
    assert RunConfig.load(tmp_path / "run" / "run.json").view == BandSelection((2, 3, 4), (0.0, 2550.0))
    segmenter = Segmenter.open(tmp_path / "run", "cpu")
    assert (segmenter.decode_image(dataset.path(key)).pixels == dataset.image(key)).all()
    options = ["predict", str(tmp_path / "run"), str(dataset.path(key)), "--out", str(tmp_path / "masks"), "--geotiff"]
    done = CliRunner().invoke(app, [*options, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "masks" / f"{key}.tif") as found, rasterio.open(dataset.path(key)) as source:
        assert found.crs == source.crs
        assert (found.read(1) == segmenter.predict(dataset.image(key))).all()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_place_on_earth_is_written_whole_or_not_at_all(tmp_path):
    import resource

    place(tmp_path / "a.tif", samples(1, 300, 300))
    labels = np.random.default_rng(0).integers(0, 200, (300, 300)).astype(np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_georeferenced(tmp_path / "mask.tif", labels, tmp_path / "a.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_coordinate_system_that_geotiff_cannot_hold_is_refused(tmp_path):
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229 +no_defs"
    place(tmp_path / "a.tif", samples(1, 8, 9), crs=rotated)
    with pytest.raises(InputError, match="GeoTIFF cannot hold its coordinate system"):
        write_georeferenced(tmp_path / "mask.tif", np.zeros((8, 9), np.uint8), tmp_path / "a.tif")
    assert not list(tmp_path.glob("mask*"))


def test_label_maps_with_overviews_are_read_and_images_behind_a_thumbnail_refused(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (256, 256)).astype(np.uint8)
    place(tmp_path / "a.tif", labels[None])
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.build_overviews([2, 4])
    assert (read_labels(tmp_path / "a.tif") == labels).all()
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(labels[::4, ::4], subfiletype=1, metadata=None)
        file.write(labels, metadata=None)
    with pytest.raises(InputError, match="begins with a reduced copy"):
        read_image(tmp_path / "b.tif")
