"""Layouts and color spaces of image files."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from hintseg.errors import InputError
from hintseg.io.images import read_image, read_image_size, read_labels

COLORS = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "deep.tif"])
def test_every_orientation_is_turned_upright(tmp_path, suffix, orientation):
    path, plain = tmp_path / f"a.{suffix}", Image.fromarray(COLORS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if suffix == "deep.tif":
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, COLORS.astype(np.uint16) * 257, photometric="rgb", extratags=tags)
    else:
        plain.save(path, exif=exif, **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}))
    plain.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(plain)).astype(int)
    got = read_image(path)
    assert got.shape[:2] == read_image_size(path) == expected.shape[:2]
    assert np.abs(got - expected).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_label_maps_are_turned_as_images_are(tmp_path, suffix, orientation):
    path, exif = tmp_path / f"a.{suffix}", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLORS[..., 0]).save(path, exif=exif)
    assert np.array_equal(read_labels(path), read_image(path)[..., 0])


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.uint16])
def test_label_maps_that_programs_read_in_two_ways_are_refused(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(9, dtype=kind), photometric="miniswhite")
    with pytest.raises(InputError, match="white is 0"):
        read_labels(tmp_path / "a.tif")


def test_inks_and_inverted_grays(tmp_path):
    inks = Image.new("RGB", (8, 8), (200, 30, 20)).convert("CMYK")
    inks.save(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.asarray(inks).astype(np.uint16) * 257, photometric="separated")
    for name in ("a.tif", "b.tif"):
        assert read_image(tmp_path / name)[0, 0].tolist() == [200, 30, 20]
    ramp = np.tile(np.linspace(0, 60000, 32).astype(np.uint16), (32, 1))
    tifffile.imwrite(tmp_path / "c.tif", ramp, photometric="miniswhite")
    assert read_image(tmp_path / "c.tif")[0, [0, -1], 0].tolist() == [255, 0]


def test_pages_are_no_channels(tmp_path):
    pages = [Image.fromarray(COLORS)] * 3
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "sizes.tif", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    tifffile.imwrite(tmp_path / "gray.tif", np.zeros((3, 40, 50), np.uint16), photometric="minisblack")
    frames = [Image.new("L", (9, 9), value) for value in (0, 99)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for name in ("pages.tif", "sizes.tif", "gray.tif", "moving.gif"):
        with pytest.raises(InputError, match=r"stack|holds 2 images|animation"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.eps", "a.ico", "a.psd", "a.png"])
def test_only_named_formats_are_opened(tmp_path, name):
    starts = {"a.eps": b"%!PS-Adobe-3.0 EPSF", "a.ico": b"\0\0\1\0\1\0", "a.psd": b"8BPS\0\1", "a.png": b"%!PS-Adobe"}
    (tmp_path / name).write_bytes(starts[name] + bytes(200))
    with pytest.raises(InputError, match="not an image"):
        read_image(tmp_path / name)
