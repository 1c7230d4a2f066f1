"""Started by torchrun in test_processes: the objective of a batch that two processes share, in float64.

Reads `batch.pt` (maps and hints of four images), and every process leaves the terms and the gradient of its own maps.
"""

import sys
from pathlib import Path

import torch

from hintseg.config.schema import Recipe, SegmentsConfig, TermConfig
from hintseg.network.embedder import PixelMaps
from hintseg.training.batches import TrainingBatch
from hintseg.training.distributed import images_a_process, make_fabric, whole_batch, whole_maps
from hintseg.training.objective import Objective

TERMS = (
    "partial_cross_entropy", "propagated_cross_entropy", "candidate_classes", "pseudo_label_cross_entropy",
    "entropy", "dense_crf", "normalized_cut", "tags",
    "annotation", "similarity", "cooccurrence", "affinity",
)  # fmt: skip
RECIPE = Recipe(
    segments=SegmentsConfig(grid=(3, 3), memory_bank=1, stride=4, max_pixels=0),
    objective={name: TermConfig(weight=0.5) for name in TERMS},
)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    fabric = make_fabric("cpu", "32-true")
    fabric.launch()
    content = torch.load(folder / "batch.pt", weights_only=True)
    count = images_a_process(fabric, len(content["embeddings"]))
    mine = slice(fabric.global_rank * count, (fabric.global_rank + 1) * count)
    maps = PixelMaps(*(content[name][mine].requires_grad_() for name in PixelMaps._fields))
    batch = TrainingBatch(*(content[name][mine] for name in TrainingBatch._fields))
    whole = (whole_batch(fabric, batch), whole_maps(fabric, maps)) if fabric.world_size > 1 else (batch, maps)
    objective = Objective(RECIPE, 3, 0)
    values = {}
    for _ in range(2):  # the second step sees the memory of the first
        total, values = objective(whole[1], whole[0])
    total.backward()
    left = {"gradients": [tensor.grad for tensor in maps], "values": values, "total": total.detach()}
    torch.save(left, folder / f"left-{fabric.world_size}-{fabric.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
