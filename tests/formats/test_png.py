"""Folders of images and label maps, by index and by color."""

import shutil

import numpy as np
import pytest
from PIL import Image
from tests.conftest import TINY, draw_scene
from tests.formats.test_reader import photograph

from hintseg import train
from hintseg.check import inspect
from hintseg.errors import HintsegError, InputError
from hintseg.formats.registry import import_dataset
from hintseg.io.images import write_image, write_labels

COLORS = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nsquare:250,50,83::\ndisc:51,221,255::\n"


@pytest.fixture
def scenes_of_two():
    return {name: draw_scene(index) for index, name in enumerate("ab")}


@pytest.fixture
def source(tmp_path, scenes_of_two):
    """As CVAT exports "Segmentation mask 1.1": images, colors of classes, and of objects, which are not wanted."""
    root = tmp_path / "exported"
    (root / "SegmentationClass").mkdir(parents=True)
    for name, (image, mask) in scenes_of_two.items():
        write_image(root / "JPEGImages" / f"{name}.png", image)
        write_image(root / "SegmentationClass" / f"{name}.png", COLORS[mask])
        write_image(root / "SegmentationObject" / f"{name}.png", 255 - COLORS[mask])
    (root / "labelmap.txt").write_text(LABELMAP)
    return root


def test_colors_become_classes(source, tmp_path, scenes_of_two):
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
    assert segmenter.description.hint_types == ("tags", "boxes", "points", "scribbles", "masks")
    assert segmenter.predict(image).shape == mask.shape


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colors_are_turned_as_images_are(source, tmp_path, scenes_of_two, suffix):
    exif = Image.Exif()
    exif[0x0112] = 3
    _, mask = scenes_of_two["a"]
    (source / "SegmentationClass" / "a.png").unlink()
    turned = Image.fromarray(np.ascontiguousarray(COLORS[mask][::-1, ::-1]))
    turned.save(source / "SegmentationClass" / f"a.{suffix}", exif=exif)
    dataset, _ = import_dataset(source, tmp_path / "data")
    np.testing.assert_array_equal(dataset.mask("a"), mask)


def test_indices_become_classes_and_a_palette_does_not_matter(source, tmp_path, scenes_of_two):
    (source / "labelmap.txt").unlink()
    (source / "classes.txt").write_text("background\nsquare\ndisc\n\n")
    ignored = scenes_of_two["b"][1].copy()
    ignored[:5] = 255
    write_labels(source / "SegmentationClass" / "a.png", scenes_of_two["a"][1])
    Image.fromarray(ignored).save(source / "SegmentationClass" / "b.png")
    dataset, _ = import_dataset(source, tmp_path / "data")
    assert dataset.background == 0, "by its name"
    np.testing.assert_array_equal(dataset.mask("a"), scenes_of_two["a"][1])
    np.testing.assert_array_equal(dataset.mask("b"), ignored)


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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\nsquare,255,0,204\ndisc,51,221,255\n"),
        ("class_dict.csv", "Blue,Green,Red,class\n0,0,0,background\n204,0,255,square\n255,221,51,disc\n"),
        ("class_dict.csv", "id,name,R value,g,b\n0,background,0,0,0\n1,square,255,0,204\n2,disc,51,221,255\n"),
        ("class_dict.csv", "name,Color B,Color G,Color R\nbackground,0,0,0\nsquare,204,0,255\ndisc,255,221,51\n"),
        ("class_dict.csv", "name,colorB,colorG,colorR\nbackground,0,0,0\nsquare,204,0,255\ndisc,255,221,51\n"),
        ("class_dict.csv", "label_name,r,g,b,id\nbackground,0,0,0,0\nsquare,255,0,204,1\ndisc,51,221,255,2\n"),
        ("class_dict.csv", "classname,r,g,b,\nbackground,0,0,0,\nsquare,255,0,204,\ndisc,51,221,255,\n"),
        ("label_colors.txt", "# from blue green red tiles\n0 0 0 background\n255 0 204 square\n51 221 255 disc\n"),
        ("class_dict.csv", "class,name,r,g,b\n0,background,0,0,0\n1,square,255,0,204\n2,disc,51,221,255\n"),
        ("class_dict.csv", "category,r,g,b,Name\nstuff,0,0,0,background\nx,255,0,204,square\nx,51,221,255,disc\n"),
        *(
            ("labelmap.txt", f"# {titles}\nbackground:0,0,0::\nsquare:204,0,255::\ndisc:255,221,51::\n")
            for titles in (
                "label:color_bgr:parts:actions",
                "label:BGR color:parts:actions",
                "label:b,g,r:parts:actions",
            )
        ),
        ("label_colors.txt", "# b g r name\n0 0 0 background\n204 0 255 square\n255 221 51 disc\n"),
        ("label_colors.txt", "# rgb, not bgr\n0 0 0 background\n255 0 204 square\n51 221 255 disc\n"),
    ],
)
def test_the_order_of_colors_is_that_of_their_titles(source, tmp_path, scenes_of_two, name, content):
    (source / "labelmap.txt").unlink()
    colors = np.array([[0, 0, 0], [255, 0, 204], [51, 221, 255]], np.uint8)
    for key, (_, mask) in scenes_of_two.items():
        write_image(source / "SegmentationClass" / f"{key}.png", colors[mask])
    (source / name).write_text(content)
    dataset, _ = import_dataset(source, tmp_path / "data", "png")
    order = [dataset.classes.index(wanted) for wanted in ("background", "square", "disc")]
    np.testing.assert_array_equal(dataset.mask("a"), np.array(order)[scenes_of_two["a"][1]])


def test_titles_that_name_some_colors_only_are_refused(source, tmp_path):
    (source / "labelmap.txt").unlink()
    for titles in (
        "name,r,g,x",
        "first,second,r,g,b",
        "label,class,r,g,b",
        "name,bgr,,",
        "name,r,red,g,b",
        "name,Blau,Gruen,Rot",
    ):
        (source / "class_dict.csv").write_text(f"{titles}\nbackground,0,0,0,0\n")
        with pytest.raises(InputError, match="does not name the columns name, r, g, b"):
            import_dataset(source, tmp_path / "data", "png")


def test_what_is_wrong_is_named(source, tmp_path, scenes_of_two):
    def refused(message, name="png"):
        with pytest.raises(InputError, match=message):
            import_dataset(source, tmp_path / "data", name)

    (source / "labelmap.txt").write_text(LABELMAP.replace("disc:51,221,255", "disc:51,221"))
    refused(r"labelmap.txt, line 4: 'disc:51,221::' is not name:red,green,blue", "auto")
    (source / "labelmap.txt").write_text(LABELMAP.replace("disc:51,221,255::\n", ""))
    refused(r"[ab].png: has the color \(51, 221, 255\), which labelmap.txt does not name")
    (source / "labelmap.txt").unlink()
    refused("has no class names; looked for labelmap.txt, class_dict.csv")
    refused("holds no annotations of any known format", "auto")
    (source / "classes.txt").write_text("ground\nsquare\n")
    refused("a label map must have one channel")
    for name, (_, mask) in scenes_of_two.items():
        write_labels(source / "SegmentationClass" / f"{name}.png", mask)
    refused(r"[ab].png: has the value 2, but classes.txt names 0..1 \(255 is ignored\)")
    (source / "classes.txt").write_text("ground\nsquare\ndisc\n")
    write_labels(source / "SegmentationClass" / "a.png", scenes_of_two["a"][1][:50])
    refused("a.png: a mask of 96×50 for an image of 96×72")
    write_labels(source / "SegmentationClass" / "c.png", scenes_of_two["a"][1])
    write_labels(source / "SegmentationClass" / "a.png", scenes_of_two["a"][1])
    refused("c.png: there is no image of this name")
    for path in (source / "SegmentationClass").iterdir():
        path.unlink()
    refused(r"has no label maps; looked for \.png, .* files in SegmentationClass, .*masks")


def folder_of(tmp_path, picture, meanings, content, name="SegmentationClass/a.png", **settings):
    root = tmp_path / "in"
    photograph(root / "images" / "a.jpg")
    (root / name).parent.mkdir(parents=True)
    picture.save(root / name, **settings)
    (root / meanings).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


COW = np.zeros((48, 64), np.uint8)
COW[10:30, 10:40] = 1
RGBA = np.where(COW[..., None] == 1, np.array([250, 50, 83, 255]), 0).astype(np.uint8)
TWO_COLORS = "background:0,0,0::\ncow:250,50,83::\n"


def palette():
    image = Image.fromarray(COW, "P")
    image.putpalette([0, 0, 0, 250, 50, 83, *[0] * 750])
    return image


@pytest.mark.parametrize(
    ("picture", "meanings", "content", "settings"),
    [
        (Image.fromarray(RGBA), "labelmap.txt", TWO_COLORS, {}),
        (Image.fromarray(RGBA[..., :3]), "labelmap.txt", b"\xef\xbb\xbf" + TWO_COLORS.encode(), {}),
        (palette(), "labelmap.txt", TWO_COLORS, {}),
        (palette(), "labelmap.txt", TWO_COLORS, {"transparency": 0}),
        (Image.fromarray(RGBA[..., :3]), "class_dict.csv", "name,r,g,b\nbackground,0,0,0\n\"cow\",250,50,83\n", {}),
        (Image.fromarray(RGBA[..., :3]), "label_colors.txt", "0 0 0\tbackground\r\n250 50 83\tcow\r\n", {}),
        (Image.fromarray(COW), "classes.txt", b"\xef\xbb\xbfbackground\r\ncow\r\n", {}),
        (Image.fromarray(COW), "class_names.txt", "background\ncow\n", {}),
        (Image.fromarray(COW * 255), "classes.txt", "background\ncow\n", {}),
        (Image.fromarray(COW > 0), "classes.txt", "background\ncow\n", {}),
    ],
)  # fmt: skip
def test_label_maps_of_every_kind(tmp_path, picture, meanings, content, settings):
    root = folder_of(tmp_path, picture, meanings, content, **settings)
    dataset, found = import_dataset(root, tmp_path / "data")
    assert (dataset.mask("a") == dataset.classes.index("cow")).sum() == 600
    clear = picture.mode == "RGBA" or settings
    assert (dataset.mask("a") == (255 if clear else dataset.classes.index("background"))).sum() == 48 * 64 - 600
    assert any("background, by its name" in note or "is the background" in note for note in found.notes)
    if picture.mode == "L" and np.asarray(picture).max() == 255:
        assert any("255 is read as 'cow'" in note for note in found.notes)


@pytest.mark.parametrize("name", ["masks/a.tif", "masks/a.bmp", "masks/a.PNG", "masks/a_mask.png", "mask/a_L.png"])
def test_names_and_suffixes_of_maps(tmp_path, name):
    root = folder_of(tmp_path, Image.fromarray(COW), "classes.txt", "soil\ncow\n", name)
    dataset, _ = import_dataset(root, tmp_path / "data")
    np.testing.assert_array_equal(dataset.mask("a"), COW)


def test_a_map_of_an_image_whose_name_ends_like_another_image(tmp_path):
    root = folder_of(tmp_path, Image.fromarray(COW), "classes.txt", "soil\ncow\n", "masks/b.tif.png")
    (image,) = (path for path in root.rglob("a.*") if path.suffix in (".png", ".jpg"))
    image.rename(image.with_name("b.tif.jpg"))
    dataset, _ = import_dataset(root, tmp_path / "data")
    np.testing.assert_array_equal(dataset.mask("b.tif"), COW)


@pytest.mark.parametrize(
    ("names", "unlabeled", "classes", "label"),
    [
        ("cow\n", "0", ("cow",), 0),
        ("background\ncow\n", "0", ("cow",), 0),
        ("soil\ncow\n", "soil", ("cow",), 0),
        ("void\ncow\n", None, ("cow",), 0),
        ("cow\n", "00", ("cow",), 0),
        ("unlabeled\ncow\n", None, ("cow",), 0),
        ("soil\ncow\n", "7", ("soil", "cow"), 1),
    ],
)
def test_what_means_nothing_drawn(tmp_path, names, unlabeled, classes, label):
    labels = COW.copy()
    labels[0] = 7 if unlabeled == "7" else 0
    root = folder_of(tmp_path, Image.fromarray(labels), "classes.txt", names)
    dataset, _ = import_dataset(root, tmp_path / "data", unlabeled=unlabeled)
    assert dataset.classes == classes
    assert (dataset.mask("a") == label).sum() == 600
    assert (dataset.mask("a")[0] == 255).all()


@pytest.mark.parametrize("names", ["soil\ncow\n", "background\ncow\n"])
def test_zero_that_may_mean_nothing_is_suspected(tmp_path, names):
    labels = np.zeros((48, 64), np.uint8)
    labels[5, 5:30] = 1
    _, found = import_dataset(folder_of(tmp_path, Image.fromarray(labels), "classes.txt", names), tmp_path / "data")
    assert any("import with --unlabeled 0" in note for note in found.notes)


@pytest.mark.parametrize(
    ("meanings", "content", "unlabeled", "message"),
    [
        ("classes.txt", "cow\n", None, "where 0 means that nothing was drawn, import with --unlabeled 0"),
        ("classes.txt", "soil\ncow\n", "tree", "'tree' is no class"),
        ("labelmap.txt", "soil:0,0,0::\ncow:1,1,1::\n", "0", "'0' is no class of .*it has colors"),
        ("classes.txt", "soil\ncow\n", "300", "no value from 0 to 255"),
        ("labelmap.txt", "soil:0,0,0::\ncow:0,0,0::\n", None, "is of 'soil' already"),
        ("labelmap.txt", "soil:0,0,300::\n", None, "is no color"),
        ("class_dict.csv", "name,r,g,b\nsoil,0,0\n", None, "line 2: 'soil,0,0' is not name,red,green,blue"),
        ("classes.txt", "\n", None, "names no class"),
    ],
)
def test_meanings_that_are_not_sure_are_refused(tmp_path, meanings, content, unlabeled, message):
    root = folder_of(tmp_path, Image.fromarray(COW), meanings, content)
    with pytest.raises(HintsegError, match=message):
        import_dataset(root, tmp_path / "data", "png", unlabeled=unlabeled)


def test_unlabeled_is_for_label_maps(tmp_path):
    photograph(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "a.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    with pytest.raises(HintsegError, match="--unlabeled: is for label maps"):
        import_dataset(tmp_path / "in", tmp_path / "data", unlabeled="0")


BOX = "<bndbox><xmin>{}</xmin><ymin>11</ymin><xmax>{}</xmax><ymax>30</ymax></bndbox>"


def annotate(path, name, frame, more=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>{name}</filename>{more}<object><name>cow</name>{frame}</object></annotation>"
    )


def test_voc_with_boxes_masks_and_splits(tmp_path):
    root = folder_of(tmp_path, Image.fromarray(RGBA[..., :3]), "labelmap.txt", TWO_COLORS)
    photograph(root / "images" / "b.jpg")
    for name in "ab":
        annotate(root / "Annotations" / f"{name}.xml", f"{name}.jpg", BOX.format(40, 11))
    for folder, name, content in (
        ("Main", "train", "a\n"), ("Segmentation", "train", "a 1\n"), ("Segmentation", "val", "b\ngone\n"),
        ("Main", "cow_train", "a  1\nb -1\n"),
    ):  # fmt: skip
        path = root / "ImageSets" / folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    dataset, found = import_dataset(root, tmp_path / "data")
    cow = dataset.classes.index("cow")
    assert (dataset.mask("a") == cow).sum() == 600
    assert dataset.mask("b") is None
    assert [(box.x0, box.y0, box.x1, box.y1) for box in dataset.hints("b").boxes] == [(10, 10, 40, 30)]
    assert dataset.splits == ("train", "val")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))
    assert any("val.txt: 1 of the images listed" in note for note in found.notes)
    assert inspect(dataset, dataset.keys()).errors == []


@pytest.mark.parametrize("kind", ["Main", "Segmentation"])
def test_voc_folders_of_equal_names_have_lists_of_their_own(tmp_path, kind):
    for year, split in (("VOC2007", "train"), ("VOC2012", "val")):
        root = tmp_path / "in" / year
        photograph(root / "JPEGImages" / "1.jpg")
        annotate(root / "Annotations" / "1.xml", "1.jpg", BOX.format(40, 11))
        (root / "ImageSets" / kind).mkdir(parents=True)
        (root / "ImageSets" / kind / f"{split}.txt").write_text("1\n")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "data")
    assert (dataset.keys("train"), dataset.keys("val")) == (("VOC2007/JPEGImages/1",), ("VOC2012/JPEGImages/1",))


def test_voc_sizes_names_and_turned_boxes(tmp_path):
    root = tmp_path / "in"
    for folder in "ab":
        photograph(root / "img" / folder / "1.jpg")
    size = "<folder>VOC</folder><size><width>128</width><height>96</height></size>"
    annotate(root / "ann" / "a" / "1.xml", "1.jpg", BOX.format(21, 80), size)
    turned = "<robndbox><cx>32</cx><cy>24</cy><w>20</w><h>10</h><angle>1.5707963</angle></robndbox>"
    annotate(root / "ann" / "b" / "1.xml", "1", turned)
    dataset, found = import_dataset(root, tmp_path / "data")
    (first,), (second,) = dataset.hints("a/1").boxes, dataset.hints("b/1").boxes
    assert (first.x0, first.y0, first.x1, first.y1) == pytest.approx((10, 5, 40, 15))
    assert (second.x0, second.y0, second.x1, second.y1) == pytest.approx((27, 14, 37, 34), abs=1e-3)
    assert "1 images have another size" in found.notes[0]


@pytest.mark.parametrize("other", ["labels", "mask", "SegmentationClassPNG"])
def test_label_maps_in_two_folders_are_refused_by_name(source, tmp_path, other):
    shutil.copytree(source / "SegmentationClass", source / other)
    for kind in ("png", "auto"):
        with pytest.raises(InputError, match=f"holds label maps in SegmentationClass/ and {other}/; which are meant"):
            import_dataset(source, tmp_path / "data", kind)
    shutil.rmtree(source / other)
    (source / other).mkdir()
    (source / other / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    assert import_dataset(source, tmp_path / "data", "png")[0].has_mask("a")


def binary(root, names):
    photograph(root / "images" / "a.png", 8, 4)
    write_labels(root / "masks" / "a.png", np.repeat([[0, 0, 0, 255]], 2, axis=1).repeat(4, axis=0).astype(np.uint8))
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    return root


def test_of_0_and_255_one_name_says_not_which(tmp_path):
    root = binary(tmp_path / "in", ["cow"])
    with pytest.raises(InputError, match=r"masks: its label maps hold only 0 and 255, but classes.txt names one class"):
        import_dataset(root, tmp_path / "out", "png")
    dataset, _ = import_dataset(root, tmp_path / "out", "png", unlabeled="0")
    assert dataset.classes == ("cow",)
    assert dataset.mask("a")[0].tolist() == [255] * 6 + [0] * 2


@pytest.mark.parametrize("names", [["road", "sky"], ["cow", "background"]])
def test_of_0_and_255_two_names_that_are_no_background_say_not_which(tmp_path, names):
    root = binary(tmp_path / "in", names)
    with pytest.raises(InputError, match=rf"names 0 '{names[0]}', so it is unclear whether 255 is '{names[1]}'"):
        import_dataset(root, tmp_path / "out", "png")
    dataset, _ = import_dataset(root, tmp_path / "out", "png", unlabeled="255")
    assert dataset.mask("a")[0].tolist() == [0] * 6 + [255] * 2


def test_the_list_of_labelme_counts_from_minus_one(tmp_path):
    root = binary(tmp_path / "in", ["__ignore__", "_background_", "cow", "dog"])
    write_labels(root / "masks" / "a.png", np.repeat([[0, 1, 2, 255]], 2, axis=1).repeat(4, axis=0).astype(np.uint8))
    dataset, found = import_dataset(root, tmp_path / "out", "png")
    assert not any("__ignore__" in note for note in found.notes)
    assert dataset.classes == ("_background_", "cow", "dog")
    assert dataset.mask("a")[0].tolist() == [0, 0, 1, 1, 2, 2, 255, 255]


@pytest.mark.parametrize(
    ("names", "values"),
    [(["cow", "void"], [0, 255]), (["background", "void"], [0, 255]), (["__ignore__", "_background_"], [0, 255])],
)
def test_of_0_and_255_the_latter_stays_ignored_where_the_second_name_means_nothing(tmp_path, names, values):
    dataset, _ = import_dataset(binary(tmp_path / "in", names), tmp_path / "out", "png")
    assert np.unique(dataset.mask("a")).tolist() == values
    assert len(dataset.classes) == 1


@pytest.mark.parametrize("names", [["background", "cow"], ["void", "cow"]])
def test_of_0_and_255_the_latter_is_the_class_where_0_is_unlabeled(tmp_path, names):
    dataset, _ = import_dataset(binary(tmp_path / "in", names), tmp_path / "out", "png", unlabeled="0")
    assert dataset.classes == ("cow",)
    assert dataset.mask("a")[0].tolist() == [255] * 6 + [0] * 2
