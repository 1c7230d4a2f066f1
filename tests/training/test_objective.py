"""Terms of one objective, and the labels of cells."""

from dataclasses import replace

import numpy as np
import torch

from hintseg import train
from hintseg.functional.relations.registry import RELATIONS
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.training.loss_registry import TERMS
from hintseg.training.objective import cell_labels


def test_cells_take_the_label_their_pixels_agree_on():
    labels = torch.full((1, 8, 8), UNLABELED, dtype=torch.uint8)
    labels[0, 0, 1], labels[0, 0, 4], labels[0, 1, 5], labels[0, 4:, 4:] = 3, 1, 2, IGNORE_INDEX
    assert cell_labels(labels, 2).tolist() == [[[3, UNLABELED], [UNLABELED, IGNORE_INDEX]]]


def test_every_term_joins_one_objective(scenes, tiny, tmp_path, completed):
    names = [*TERMS, *RELATIONS]
    settings = [*tiny, *completed, *(f"objective.{name}.weight=0.1" for name in names), "completion.random_walk=true"]
    scenes = replace(scenes, classes=(*scenes.classes, "triangle"))  # which no image holds
    train(scenes, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=4, settings=settings)
    rows = (tmp_path / "run" / "metrics.csv").read_text("utf-8").splitlines()
    columns = rows[0].split(",")
    assert set(names) <= set(columns)
    for name in names:
        values = [float(row.split(",")[columns.index(name)]) for row in rows[1:]]
        assert np.isfinite(values).all(), name
        # All scenes share their tags, so co-occurrence has nothing to repel.
        assert any(value != 0 for value in values) == (name != "cooccurrence"), name
