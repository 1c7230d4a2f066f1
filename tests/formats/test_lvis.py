"""Images of which LVIS says which classes somebody verified."""

import json

import numpy as np
import pytest
from tests.formats.test_reader import photograph

from hintseg.errors import InputError
from hintseg.formats import coco
from hintseg.formats.reader import Imported
from hintseg.formats.registry import import_dataset

CATEGORIES = [{"id": number, "name": name} for number, name in enumerate(("cow", "dog", "cat", "hen"), start=1)]


def imported(tmp_path, **fields):
    for name in "ab":
        photograph(tmp_path / "in" / "train2017" / f"{name}.jpg", 64, 48)
    address = "http://images.cocodataset.org/train2017/{}.jpg"
    images = [{"id": number, "coco_url": address.format(name)} for number, name in enumerate("ab")]
    images[0] |= fields
    rows = [(0, 1), (1, 1), (1, 2), (1, 3), (1, 4)]
    annotations = [{"image_id": image, "category_id": number, "bbox": [2, 2, 9, 9]} for image, number in rows]
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (tmp_path / "in" / "lvis.json").write_text(json.dumps(content))
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    return dataset


def absent(dataset):
    return {dataset.classes[label] for label in np.flatnonzero(dataset.hints("a").absent(len(dataset.classes)))}


def test_only_classes_that_somebody_looked_for_are_absent(tmp_path):
    assert absent(imported(tmp_path, neg_category_ids=[3], not_exhaustive_category_ids=[])) == {"cat"}


def test_without_the_lists_all_are(tmp_path):
    assert absent(imported(tmp_path)) == {"dog", "cat", "hen"}


def test_a_class_that_is_not_annotated_whole_is_not_verified(tmp_path):
    dataset = imported(tmp_path, neg_category_ids=[2], not_exhaustive_category_ids=[1])
    assert absent(dataset) == {"dog"}
    assert {dataset.classes[label] for label in dataset.hints("a").verified_classes} == {"dog"}


@pytest.mark.parametrize("number", [3, 3.0, "3"])
def test_an_id_is_one_however_it_is_written(tmp_path, number):
    assert absent(imported(tmp_path, neg_category_ids=[number])) == {"cat"}


@pytest.mark.parametrize("ids", [[9], "x"])
def test_lists_of_no_category_are_refused(tmp_path, ids):
    with pytest.raises(InputError, match="neg_category_ids"):
        imported(tmp_path, neg_category_ids=ids)


def test_a_file_without_images_is_refused(tmp_path):
    content = {"annotations": [], "categories": CATEGORIES}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="the field 'images' is missing"):
        coco.read(tmp_path / "a.json", Imported(tmp_path))
