"""Masks of a run that were copied into a data set."""

import json

import numpy as np
import pytest

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.images import write_image, write_labels


@pytest.mark.parametrize(
    ("described", "told", "refused"),
    [
        ({"classes": ["a", "b"]}, ["a", "b"], False),
        ({"classes": ["a", "b", "c"]}, ["a", "b"], False),
        ({"classes": ["renamed", "b"]}, ["a", "b"], False),
        ({"classes": ["b", "a"]}, ["a", "b"], True),
        ({"classes": ["a", "b"], "unlabelled": 0}, ["a", "b"], True),
        ({"classes": ["a", "b"], "void": 0}, ["a", "b"], True),
    ],
)
def test_masks_that_came_with_their_folder_from_a_run_mean_what_they_meant_there(tmp_path, described, told, refused):
    write_image(tmp_path / "images/1.png", np.zeros((4, 4, 3), np.uint8))
    write_labels(tmp_path / "masks/1.png", np.ones((4, 4), np.uint8))
    (tmp_path / "masks/.made-by.json").write_text(json.dumps({"maker": "x", "classes": told}))
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    dataset = Dataset.open(tmp_path)
    if refused:
        with pytest.raises(InputError, match="other classes or values"):
            dataset.mask("1")
    else:
        assert (dataset.mask("1") == 1).all()
