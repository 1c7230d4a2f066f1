"""PIL images that do not hold what their files do."""

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from hintseg.errors import InputError
from hintseg.io.images import decode_image
from hintseg.io.pil_images import decode_array

SMALL = np.random.default_rng(0).integers(1, 127, (64, 48, 3), np.uint8)
DEEP = SMALL.astype(np.uint16) * 16
MARKED = {"photometric": "rgb", "extratags": [(42113, "s", 0, "0", True)]}
LOST = {
    "16 bits.png": lambda path: cv2.imwrite(str(path), DEEP),
    "16 bits.jp2": lambda path: cv2.imwrite(str(path), DEEP),
    "12 bits.ppm": lambda path: path.write_bytes(b"P6 48 64 4095\n" + DEEP.astype(">u2").tobytes()),
    "16 bits.tif": lambda path: tifffile.imwrite(path, DEEP, photometric="rgb"),
    "signed.tif": lambda path: tifffile.imwrite(path, SMALL[..., 0].astype(np.int8), photometric="minisblack"),
    "no data.tif": lambda path: tifffile.imwrite(path, 2 * SMALL, **MARKED),
}


def opened(source, loaded=False):
    """As a caller may have it, without a file that stays open."""
    image = Image.open(source)
    if loaded:
        image.load()
    return image


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("name", LOST)
def test_what_the_file_holds_beyond_the_image_is_refused(tmp_path, name, loaded):
    LOST[name](tmp_path / name)
    assert decode_image(tmp_path / name).pixels.max() > 200
    with opened(tmp_path / name, loaded) as image, pytest.raises(InputError, match=rf"{name}: its file holds .* path"):
        decode_array(image)
    loaded = loaded and name.endswith("tif")  # others forget their depth
    stream = io.BytesIO((tmp_path / name).read_bytes())
    with opened(stream, loaded) as image, pytest.raises(InputError, match="a PIL image: its file holds"):
        decode_array(image)


def test_stacks_and_masked_tiffs_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([SMALL, SMALL]), photometric="rgb")
    with opened(path) as image, pytest.raises(InputError, match="is a stack"):
        decode_array(image)
    tifffile.imwrite(path, SMALL, photometric="rgb")
    with opened(path) as image:
        assert np.array_equal(decode_array(image).pixels, SMALL)
    tifffile.imwrite(tmp_path / "a.tif.msk", SMALL[..., 0])
    with opened(path) as image, pytest.raises(InputError, match="holds a no-data mark"):
        decode_array(image)


@pytest.mark.parametrize("name", ["a.png", "a.jp2", "a.ppm", "a.tif", "a.gif", "a.webp", "a.bmp"])
@pytest.mark.parametrize("loaded", [False, True])
def test_images_of_eight_bits_are_taken_from_wherever_they_come(tmp_path, name, loaded):
    path = tmp_path / name
    Image.fromarray(SMALL).save(path)
    for source in (path, io.BytesIO(path.read_bytes())):
        with opened(source, loaded) as image:
            assert np.array_equal(decode_array(image).pixels, decode_image(path).pixels)
    with opened(path) as image:
        path.unlink()
        assert np.array_equal(decode_array(image.copy()).pixels, decode_array(image).pixels)
    assert np.array_equal(decode_array(Image.fromarray(SMALL)).pixels, SMALL)
