"""Folders of images and label maps, by index and by colour."""

import shutil

import numpy as np
import pytest
from PIL import Image
from tests.conftest import TINY, draw_scene

from hintseg import train
from hintseg.errors import InputError
from hintseg.formats.by_name import import_dataset
from hintseg.images import write_image, write_labels

COLOURS = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nsquare:250,50,83::\ndisc:51,221,255::\n"


@pytest.fixture
def scenes_of_two():
    return {name: draw_scene(index) for index, name in enumerate("ab")}


@pytest.fixture
def source(tmp_path, scenes_of_two):
    """As CVAT exports "Segmentation mask 1.1": images, colours of classes, and of objects, which are not wanted."""
    root = tmp_path / "exported"
    (root / "SegmentationClass").mkdir(parents=True)
    for name, (image, mask) in scenes_of_two.items():
        write_image(root / "JPEGImages" / f"{name}.png", image)
        write_image(root / "SegmentationClass" / f"{name}.png", COLOURS[mask])
        write_image(root / "SegmentationObject" / f"{name}.png", 255 - COLOURS[mask])
    (root / "labelmap.txt").write_text(LABELMAP)
    return root


def test_colours_become_classes(source, tmp_path, scenes_of_two):
    border = np.array(Image.open(source / "SegmentationClass" / "a.png"))
    border[0] = 224, 224, 192
    write_image(source / "SegmentationClass" / "a.png", border)
    dataset, found = import_dataset(source, tmp_path / "data", background="background")
    assert dataset.classes == ("background", "square", "disc")
    assert dataset.background == 0
    assert not found.lost
    image, mask = scenes_of_two["a"]
    np.testing.assert_array_equal(dataset.image("a"), image)
    np.testing.assert_array_equal(dataset.mask("a")[1:], mask[1:])
    assert (dataset.mask("a")[0] == 255).all()
    segmenter = train(dataset, None, tmp_path / "run", weights="none", device="cpu", iterations=1, settings=[*TINY])
    assert segmenter.description.forms == ("tags", "boxes", "points", "scribbles", "masks")
    assert segmenter.predict(image).shape == mask.shape


def test_indices_become_classes_and_a_palette_does_not_matter(source, tmp_path, scenes_of_two):
    (source / "labelmap.txt").unlink()
    (source / "classes.txt").write_text("background\nsquare\ndisc\n\n")
    void = scenes_of_two["b"][1].copy()
    void[:5] = 255
    write_labels(source / "SegmentationClass" / "a.png", scenes_of_two["a"][1])
    Image.fromarray(void).save(source / "SegmentationClass" / "b.png")
    dataset, _ = import_dataset(source, tmp_path / "data")
    assert dataset.background == 0, "by its name"
    np.testing.assert_array_equal(dataset.mask("a"), scenes_of_two["a"][1])
    np.testing.assert_array_equal(dataset.mask("b"), void)


def test_a_background_that_is_not_first(source, tmp_path, scenes_of_two):
    (source / "labelmap.txt").unlink()
    (source / "classes.txt").write_text("square\ndisc\nfloor\n")
    for name, (_, mask) in scenes_of_two.items():
        write_labels(source / "SegmentationClass" / f"{name}.png", np.array([2, 0, 1], np.uint8)[mask])
    dataset, _ = import_dataset(source, tmp_path / "data", "png", background="floor")
    assert dataset.classes == ("floor", "square", "disc")
    np.testing.assert_array_equal(dataset.mask("a"), scenes_of_two["a"][1])


def test_two_maps_of_one_name(source, tmp_path):
    (source / "SegmentationClass" / "more").mkdir()
    shutil.copy(source / "SegmentationClass" / "a.png", source / "SegmentationClass" / "more" / "a.png")
    with pytest.raises(InputError, match=r"more/a.png: .*/a.png has the same name; rename one"):
        import_dataset(source, tmp_path / "data", "png")


def test_an_image_of_this_name_in_another_folder_is_another_image(source, tmp_path, scenes_of_two):
    write_image(source / "JPEGImages" / "more" / "a.png", 255 - scenes_of_two["a"][0])
    dataset, _ = import_dataset(source, tmp_path / "data", "png")
    np.testing.assert_array_equal(dataset.image("a"), scenes_of_two["a"][0])


def test_what_is_wrong_is_named(source, tmp_path, scenes_of_two):
    def refused(message, name="png"):
        with pytest.raises(InputError, match=message):
            import_dataset(source, tmp_path / "data", name)

    (source / "labelmap.txt").write_text(LABELMAP.replace("disc:51,221,255", "disc:51,221"))
    refused(r"labelmap.txt, line 4: 'disc:51,221::' is not name:red,green,blue", "auto")
    (source / "labelmap.txt").write_text(LABELMAP.replace("disc:51,221,255::\n", ""))
    refused(r"[ab].png: has the colour \(51, 221, 255\), which labelmap.txt does not name")
    (source / "labelmap.txt").unlink()
    refused("has no class names; looked for labelmap.txt, class_dict.csv")
    refused("holds no annotations of any known format", "auto")
    (source / "classes.txt").write_text("ground\nsquare\n")
    refused("a label map must have one channel")
    for name, (_, mask) in scenes_of_two.items():
        write_labels(source / "SegmentationClass" / f"{name}.png", mask)
    refused(r"[ab].png: has the value 2, but classes.txt names 0..1 \(255 is void\)")
    (source / "classes.txt").write_text("ground\nsquare\ndisc\n")
    write_labels(source / "SegmentationClass" / "a.png", scenes_of_two["a"][1][:50])
    refused("a.png: a mask of 96×50 for an image of 96×72")
    write_labels(source / "SegmentationClass" / "c.png", scenes_of_two["a"][1])
    write_labels(source / "SegmentationClass" / "a.png", scenes_of_two["a"][1])
    refused("c.png: there is no image of this name")
    for path in (source / "SegmentationClass").iterdir():
        path.unlink()
    refused(r"has no label maps; looked for \.png, .* files in SegmentationClass, .*masks")
