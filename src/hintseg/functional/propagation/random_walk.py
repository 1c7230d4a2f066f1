"""Seeds walk over the affinity of embeddings inside one image [SPML, release].

    A_ij = exp(κ (v_i·v_j − 1))^exponent;  T = A with columns normalized;  result = seeds · T^(2^doublings)

T^(2^n) is taken as 2^n products with the seeds, not as n squarings of an (N, N) matrix: far cheaper.
"""

import torch
from torch import Tensor

BLOCK_ELEMENTS = 64_000_000  # transition matrices larger than this are recomputed in blocks


def random_walk(
    embedding_map: Tensor, seeds: Tensor, concentration: float = 5.0, exponent: int = 20, doublings: int = 6
) -> Tensor:
    """Propagate class scores along similar embeddings.

    Args:
        embedding_map: (H, W, D), unit length (normalized again here).
        seeds: (C, H, W) scores.
        concentration: κ.
        exponent: element-wise power of the affinity.
        doublings: 2^doublings steps.

    Returns:
        (C, H, W) scores; a constant map stays constant.

    Raises:
        ValueError: sizes that differ.
    """
    height, width, dim = embedding_map.shape
    if seeds.shape[-2:] != (height, width):
        raise ValueError(f"seeds are {tuple(seeds.shape[-2:])} but the embedding map is {(height, width)}")
    vectors = torch.nn.functional.normalize(embedding_map.reshape(-1, dim), dim=1, eps=1e-12)
    nodes = vectors.shape[0]
    sharpness = concentration * exponent

    def rows(block: slice) -> Tensor:
        return (vectors[block] @ vectors.T).sub_(1).mul_(sharpness).exp_()

    size = max(BLOCK_ELEMENTS // max(nodes, 1), 1)
    blocks = [slice(start, min(start + size, nodes)) for start in range(0, nodes, size)]
    kept = [rows(block) for block in blocks] if len(blocks) == 1 else None
    # A is symmetric: its column sums are its row sums, and (seeds · T)_j = Σ_i seeds_i A_ij / sum_j.
    sums = torch.cat([(kept[0] if kept else rows(block)).sum(dim=1) for block in blocks])
    scores = seeds.reshape(seeds.shape[0], -1).to(vectors.dtype)
    for _ in range(2**doublings):
        products = [scores @ (kept[0] if kept else rows(block)).T for block in blocks]
        scores = torch.cat(products, dim=1) / sums
    return scores.reshape(seeds.shape[0], height, width)
