"""How often a step would make a GPU and its host wait for each other."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hintseg.api import choose_recipe
from hintseg.losses import partial_cross_entropy
from hintseg.network.embedder import Embedder
from hintseg.segments import rows
from hintseg.training.batches import TrainingBatches
from hintseg.training.data import TrainingImages
from hintseg.training.loop import new_state, train_step
from hintseg.training.processes import make_fabric

ASKS = {"_local_scalar_dense", "nonzero", "_unique2", "bincount", "masked_select", "equal"}


class Waits(TorchDispatchMode):
    """Counts operators that give the host a number, or a tensor whose size depends on values."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        chosen = args[1] if name in ("index", "index_put_") else []
        by_mask = any(index is not None and index.dtype == torch.bool for index in chosen)
        self.count += name in ASKS or by_mask
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("objective", ["default", "spml", "affinity", "partial_cross_entropy"])
def test_a_step_asks_for_one_list(scenes, tiny, monkeypatch, objective):
    """How many labelled pixels and segments there are; what the losses are is read later."""
    recipe = choose_recipe(objective=objective, weights="none", settings=tiny)
    monkeypatch.setattr(partial_cross_entropy, "rows_where", rows.placed_rows)  # as on a GPU
    asked = []
    listed = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: asked.append(self) or listed(self))
    fabric = make_fabric("cpu", "32-true")
    state = new_state(Embedder(recipe.network, 3, "none"), recipe, 0, fabric)
    state.network.train()
    images = TrainingImages(scenes, scenes.keys("train"), ("scribbles",), recipe.data)
    batches = TrainingBatches(images, recipe.data, 2, 0, None)
    for step in range(2):  # the second one has remembered segments
        made = batches[step]
        asked.clear()
        with Waits() as waits:
            values = train_step(state, made, recipe, fabric)
        state.step += 1
    assert waits.count == 0
    assert len(asked) == 1
    assert values.read()["total"] > 0
