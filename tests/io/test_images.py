import os
import struct
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from hintseg.errors import InputError, RunError
from hintseg.io import pillow
from hintseg.io.images import (
    read_image,
    read_image_size,
    read_labels,
    resize_longest_side,
    resize_nearest,
    write_labels,
)
from hintseg.io.palette import class_colors, parse_color, voc_palette
from hintseg.io.writing import atomic_path, cached_arrays, link_or_copy, read_arrays


@pytest.fixture
def save(tmp_path):
    def write(name, array, mode=None, **options):
        path = tmp_path / name
        image = Image.fromarray(array)
        (image if mode is None else image.convert(mode)).save(path, **options)
        return path

    return write


def test_gray_rgba_palette_and_one_pixel(save):
    gray = read_image(save("gray é.png", np.full((3, 4), 77, np.uint8)))
    assert gray.shape == (3, 4, 3)
    assert (gray == 77).all()
    see_through = np.zeros((2, 2, 4), np.uint8)
    assert (read_image(save("rgba.png", see_through)) == 255).all()
    assert read_image(save("palette.png", np.full((2, 3, 3), 200, np.uint8), "P")).shape == (2, 3, 3)
    assert read_image(save("one.png", np.zeros((1, 1, 3), np.uint8))).shape == (1, 1, 3)


@pytest.mark.parametrize(("top", "expected"), [(65535, 255), (4095, 255), (200, 255)])
def test_sixteen_bits_are_scaled(save, top, expected):
    image = read_image(save("deep.png", np.array([[0, top]], np.uint16)))
    assert image[0, 0, 0] == 0
    assert image[0, 1, 0] == expected


def test_exif_rotation_is_applied(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(path, exif=exif)
    assert read_image(path).shape == (20, 10, 3)
    assert read_image_size(path) == (20, 10)


def test_broken_files_are_named(tmp_path, save):
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.png")
    text = tmp_path / "text.png"
    text.write_text("hello")
    with pytest.raises(InputError, match=r"text\.png: not an image"):
        read_image(text)
    whole = save("whole.png", np.random.default_rng(0).integers(0, 255, (50, 50, 3)).astype(np.uint8)).read_bytes()
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.png: cannot be decoded"):
        read_image(cut)


def test_bombs_are_refused_from_the_header(save, monkeypatch):
    monkeypatch.setattr(pillow, "MAX_PIXELS", 10)
    with pytest.raises(InputError, match="more than"):
        read_image(save("big.png", np.zeros((4, 4, 3), np.uint8)))


def test_labels_round_trip_and_color_images_are_refused(tmp_path, save):
    labels = np.array([[0, 1, 254, 255]], np.uint8)
    write_labels(tmp_path / "deep" / "labels.png", labels)
    assert (read_labels(tmp_path / "deep" / "labels.png") == labels).all()
    with pytest.raises(InputError, match="one channel"):
        read_labels(save("color.png", np.zeros((2, 2, 3), np.uint8)))
    with pytest.raises(InputError, match=r"0\.\.255"):
        read_labels(save("deep.png", np.array([[300]], np.uint16)))


def test_every_class_has_a_color_of_its_own_the_first_ones_for_color_blind_people_too():
    assert voc_palette()[[0, 1, 2, 15]].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128]]
    colors = class_colors()
    assert len(set(colors)) == 256
    assert colors[:2] == ("#0072b2", "#e69f00")
    first = np.array([parse_color(color) for color in colors[:7]]) / 255
    seen = first @ np.array([[0.17, 0.17, 0], [0.83, 0.83, 0], [0, 0, 1]])  # red and green alike
    apart = np.linalg.norm(seen[:, None] - seen, axis=2) + np.eye(7)
    assert apart.min() > 0.1


def test_failed_writes_leave_nothing(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text(str(1 // 0))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), atomic_path(tmp_path / "file" / "x.txt"):
        pass


@pytest.mark.parametrize("links", [True, False])
def test_linking_never_writes_over_a_file(tmp_path, monkeypatch, links):
    first, second, target = (tmp_path / name for name in ("first", "second", "target"))
    first.write_text("1")
    second.write_text("2")
    if not links:
        monkeypatch.setattr(os, "link", Mock(side_effect=OSError(18, "other device")))
    link_or_copy(first, target)
    with pytest.raises(RunError, match="target: cannot be written"):
        link_or_copy(second, target)
    assert (first.read_text(), target.read_text()) == ("1", "1")


def test_arrays_that_can_be_made_again_are_read_or_none(tmp_path):
    path = tmp_path / "a.npz"
    assert read_arrays(path, "x") is None
    np.savez(path, x=np.arange(3), y=np.ones(2))
    y, x = read_arrays(path, "y", "x")
    assert x.tolist() == [0, 1, 2]
    assert y.tolist() == [1, 1]
    assert read_arrays(path, "x", "z") is None
    path.write_bytes(path.read_bytes()[:-40])
    assert read_arrays(path, "x") is None
    np.savez(path, x=np.array([{}], dtype=object))
    assert read_arrays(path, "x") is None, "pickled content is never loaded"


def test_a_reduced_image_holds_means():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    small = resize_longest_side(image, 20)
    assert small.shape == (13, 20, 3)
    exact = resize_longest_side(image[:39], 20)  # by three
    means = image[:39].astype(float).reshape(13, 3, 20, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(exact, means, atol=0.51)
    assert resize_longest_side(image, 60) is image
    assert resize_longest_side(image[:1], 7).shape == (1, 7, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("size", [(3, 5), (8, 10), (24, 40), (1, 1)])
def test_repeated_pixels_are_never_mixed(dtype, size):
    labels = np.random.default_rng(0).integers(0, 200, (8, 10)).astype(dtype)
    plain = [
        [labels[row * 8 // size[0], column * 10 // size[1]] for column in range(size[1])] for row in range(size[0])
    ]
    result = resize_nearest(labels, size)
    np.testing.assert_array_equal(result, plain)
    assert result.dtype == dtype


def test_arrays_are_made_once_and_again_where_they_are_damaged(tmp_path):
    path, made = tmp_path / "folder" / "a.npz", []

    def make():
        made.append(1)
        return [np.arange(6, dtype=np.uint16).reshape(2, 3), np.zeros((0, 4), np.float16)]

    first = cached_arrays(path, ["x", "y"], make)
    again = cached_arrays(path, ["x", "y"], make)
    assert len(made) == 1
    for one, other in zip(first, again, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    path.write_bytes(path.read_bytes()[:40])
    cached_arrays(path, ["x", "y"], make)
    assert len(made) == 2
    assert read_arrays(path, "x") is not None


@pytest.mark.parametrize("kind", ["of another", "pipe"])
def test_arrays_of_another_name_and_pipes_are_made_again(tmp_path, kind):
    path, other = tmp_path / "a.npz", tmp_path / "b.npz"
    for place, value in ((path, 1), (other, 2)):
        cached_arrays(place, ["x"], lambda value=value: [np.full(value, value)])
    path.unlink()
    other.replace(path) if kind == "of another" else os.mkfifo(path)
    assert cached_arrays(path, ["x"], lambda: [np.ones(1)])[0].tolist() == [1]
    assert read_arrays(path, "x") is not None


def test_arrays_of_another_size_are_made_again(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)))  # as an earlier version wrote them, without their name
    assert cached_arrays(tmp_path / "a.npz", ["x"], lambda: [np.ones((2, 3))], (2, 3))[0].max() == 0
    assert cached_arrays(tmp_path / "a.npz", ["x"], lambda: [np.ones((3, 2))], (3, 2))[0].max() == 1


def test_a_label_tiff_whose_further_page_is_damaged_is_refused(tmp_path):
    pages = [Image.new("L", (9, 9), value) for value in (0, 1)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    content = bytearray((tmp_path / "a.tif").read_bytes())
    width = struct.pack("<HHI", 256, 3 if struct.pack("<HH", 256, 3) in content else 4, 1)
    second = content.rindex(width)
    content[second : second + 2] = struct.pack("<H", 999)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a.tif: holds 2 images"):
        read_labels(tmp_path / "a.tif")


def test_a_label_tiff_whose_offsets_are_no_integers_is_damaged(tmp_path):
    path = tmp_path / "labels.tif"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    entry = content.index(struct.pack("<HH", 273, 4))  # StripOffsets, LONG
    struct.pack_into("<H", content, entry + 2, 11)  # FLOAT
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.tif: cannot be decoded"):
        read_labels(path)
