"""Values of label maps that are no class: refused by name, unless dataset.json or the file says what they mean."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.formats.registry import import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image

CLASSES = ("soil", "wheat", "weed")
ONE = {"classes": ["cell"]}
VALUES = np.repeat(np.array([[0, 1, 2]], np.uint8), 4, axis=0)


@pytest.fixture
def data(tmp_path):
    """A function that makes a data set of one image with one label map, which `save` writes to a path."""

    def make(save, name="masks/a.png", **described):
        root = tmp_path / "data"
        write_image(root / "images/a.png", np.zeros((*VALUES.shape, 3), np.uint8))
        (root / name).parent.mkdir(exist_ok=True)
        save(root / name)
        if described:
            (root / "dataset.json").write_text(json.dumps({"classes": CLASSES, **described}))
        return Dataset.open(root)

    return make


@pytest.fixture
def imported(tmp_path):
    def make(save, name="a.png"):
        write_image(tmp_path / "maps/images/a.png", np.zeros((*VALUES.shape, 3), np.uint8))
        (tmp_path / "maps/masks").mkdir()
        save(tmp_path / "maps/masks" / name)
        (tmp_path / "maps/classes.txt").write_text("\n".join(CLASSES))
        return import_dataset(tmp_path / "maps", tmp_path / "out")

    return make


def values(last, kind=np.uint8):
    array = VALUES.astype(kind)
    array[:, 2] = last
    return array


def tiff(array):
    return lambda path: tifffile.imwrite(path, array)


def saved(array, mode="L", **options):
    return lambda path: Image.fromarray(array, mode).save(path, **options)


def paletted(palette, **options):
    def save(path):
        image = Image.fromarray(VALUES, "P")
        image.putpalette(np.asarray(palette, np.uint8).ravel().tolist())
        image.save(path, **options)

    return save


def grays(*levels):
    return [[level] * 3 for level in levels]


@pytest.mark.parametrize("folder", ["masks", "scribbles"])
@pytest.mark.parametrize("value", [253, 254])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_no_number_of_ours_means_anything_in_files(data, folder, value, name):
    dataset = data(saved(values(value)), f"{folder}/{name}", tags_exhaustive=True)
    with pytest.raises(InputError, match=f"has label {value} but there are 3 classes"):
        dataset.hints("a")


@pytest.mark.parametrize(("entry", "label"), [("ignore_index", 255), ("unlabeled", 254)])
def test_254_means_what_dataset_json_says(data, entry, label):
    assert data(saved(values(254)), **{entry: 254}).mask("a")[0].tolist() == [0, 1, label]


def test_254_is_refused_without_dataset_json(data):
    with pytest.raises(InputError, match="has label 254"):
        data(saved(values(254))).hints("a")


@pytest.mark.parametrize("folder", ["masks", "scribbles"])
@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
@pytest.mark.parametrize("value", [-1, -2])
def test_negative_values_are_refused_by_name(data, imported, folder, kind, value):
    with pytest.raises(InputError, match=f"must lie in 0..255 but go from {value} to 1;"):
        data(tiff(values(value, kind)), f"{folder}/a.tif", tags_exhaustive=True).hints("a")
    with pytest.raises(InputError, match=f"go from {value} to 1;"):
        imported(tiff(values(value, kind)), "a.tif")


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_negative_values_that_the_file_marks_as_no_data_are_ignored(data, kind):
    tag = (42113, "s", 0, "-1", True)
    save = lambda path: tifffile.imwrite(path, values(-1, kind), extratags=[tag])  # noqa: E731
    assert data(save, "masks/a.tif", tags_exhaustive=True).mask("a")[0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_fractions_are_no_classes(data, kind):
    with pytest.raises(InputError, match="fractions, not class numbers; save it with 8-bit class indices"):
        data(tiff(values(0.5, kind)), "masks/a.tif", tags_exhaustive=True).hints("a")


def test_samples_of_64_bits_are_named(data):
    with pytest.raises(InputError, match="have 64 bits"):
        data(tiff(values(2, np.int64)), "masks/a.tif", tags_exhaustive=True).hints("a")


@pytest.mark.parametrize("folder", ["masks", "scribbles"])
@pytest.mark.parametrize("save", [saved(values(2)), paletted(grays(0, 2, 1))])
def test_gifs_are_refused(data, imported, folder, save):
    with pytest.raises(InputError, match="programs that write GIFs renumber the colors"):
        data(save, f"{folder}/a.gif", tags_exhaustive=True).hints("a")
    with pytest.raises(InputError, match="programs that write GIFs renumber the colors"):
        imported(save, "a.gif")


@pytest.mark.parametrize(
    ("suffix", "save"),
    [
        ("png", saved(VALUES, format="JPEG")),
        ("png", saved(VALUES, format="JPEG2000")),
        ("tif", saved(VALUES, compression="jpeg")),
    ],
)
def test_compression_that_changes_values_is_refused_whatever_the_name(data, imported, suffix, save):
    with pytest.raises(InputError, match="changes values near borders"):
        data(save, f"masks/a.{suffix}", ignore_index=255).mask("a")
    with pytest.raises(InputError, match="changes values near borders"):
        imported(save, f"a.{suffix}")


def test_a_gif_under_another_name_is_refused_and_without_dataset_json(data):
    with pytest.raises(InputError, match="renumber the colors"):
        data(saved(values(2), format="GIF"))


def test_a_gif_is_imported_by_its_colors(tmp_path):
    write_image(tmp_path / "maps/images/a.png", np.zeros((*VALUES.shape, 3), np.uint8))
    (tmp_path / "maps/masks").mkdir()
    paletted([[9, 9, 9], [0, 0, 200], [200, 0, 0]])(tmp_path / "maps/masks/a.gif")
    (tmp_path / "maps/labelmap.txt").write_text("soil:9,9,9::\nweed:200,0,0::\nwheat:0,0,200::\n")
    dataset, _ = import_dataset(tmp_path / "maps", tmp_path / "out")
    assert dataset.mask("a")[0].tolist() == [0, 2, 1]


@pytest.mark.parametrize("palette", [grays(0, 2, 1), grays(0, 127, 255), grays(2, 1, 0), grays(255, 0, 9)])
def test_renumbered_grays_are_refused(data, imported, palette):
    with pytest.raises(InputError, match="its palette shows the value"):
        data(paletted(palette), tags_exhaustive=True).hints("a")
    with pytest.raises(InputError, match="its palette shows the value"):
        imported(paletted(palette))


def test_renumbered_grays_of_other_formats_are_refused(data):
    for name in ("a.bmp", "a.tif"):
        with pytest.raises(InputError, match="its palette shows the value 1 as the gray 5"):
            data(paletted(grays(0, 5, 1)), f"masks/{name}", tags_exhaustive=True).hints("a")
        (data(paletted(grays(0, 1, 2)), f"masks/{name}", tags_exhaustive=True).root / "masks" / name).unlink()


def test_large_values_are_told_as_they_are(data):
    with pytest.raises(InputError, match="go from 0 to 4294967294"):
        data(tiff(values(2**32 - 2, np.uint32)), "masks/a.tif", tags_exhaustive=True).hints("a")


@pytest.mark.parametrize(
    "palette",
    [grays(*range(256)), grays(0, 1, 2), grays(0, 0, 0), [*grays(0, 128), [9, 0, 0]]],
)
def test_palettes_that_leave_no_doubt_are_read_by_number(data, palette):
    assert data(paletted(palette), tags_exhaustive=True).mask("a")[0].tolist() == [0, 1, 2]


def test_black_and_white_are_0_and_1(data):
    def save(path):
        image = Image.fromarray(VALUES % 2, "P")
        image.putpalette(np.ravel(grays(0, 255)).tolist())
        image.save(path)

    assert data(save, tags_exhaustive=True).mask("a")[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("folder", "label"), [("masks", 255), ("scribbles", 254)])
@pytest.mark.parametrize("told", [0, b"\x00\xff\x80"])
def test_what_is_transparent_is_open_and_said(data, folder, label, told):
    for save in (paletted(np.eye(3) * 200, transparency=told), saved(VALUES, transparency=0)):
        dataset = data(save, f"{folder}/a.png", tags_exhaustive=True)
        hints = dataset.hints("a")
        assert (hints.mask or hints.scribble_map).labels[0].tolist() == [label, 1, 2]
        assert any("transparent pixels" in said for said in inspect(dataset, ("a",)).warnings)


def test_what_dataset_json_says_of_a_value_counts_more_than_that_it_is_transparent(data):
    save = paletted(np.eye(3) * 200, transparency=0)
    dataset = data(save, unlabeled=0, first_label=1)
    assert dataset.mask("a")[0].tolist() == [254, 0, 1]
    assert not any("transparent" in said for said in inspect(dataset, ("a",)).warnings)


def test_what_is_transparent_in_imported_maps_is_said(imported):
    dataset, found = imported(paletted(np.eye(3) * 200, transparency=0))

    assert any("transparent" in note for note in found.notes)
    assert dataset.mask("a")[0, 0] == 255


@pytest.mark.parametrize("value", [254, 255])
def test_masks_of_two_values_are_no_single_class(data, value):
    array = np.where(VALUES == 0, 0, value).astype(np.uint8)
    with pytest.raises(InputError, match=r"dataset.json, and its masks hold no values but 0 and 255|has label 254"):
        data(saved(array)).hints("a")
    assert value == 254 or any(
        "255 means the object" in said for said in inspect(data(saved(array), **ONE), "a").warnings
    )


def test_a_single_class_is_said(data):
    for described in ({}, ONE):
        found = inspect(data(saved(VALUES * 0), **described), ("a",))
        assert any("is the only class" in said for said in found.warnings)
