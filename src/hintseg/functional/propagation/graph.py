"""Label propagation over the nodes of one image's graph: harmonic functions, local and global consistency.

Both take any symmetric, non-negative affinity W; nodes are pixels, cells or superpixels.
"""

import torch
from torch import Tensor


def harmonic(affinity: Tensor, seeds: Tensor, labeled: Tensor, leak: float = 0.0) -> Tensor:
    """f_u = ((1 + leak) D_uu − W_uu)⁻¹ W_ul f_l [Zhu, Ghahramani & Lafferty, ICML 2003, with leak 0].

    f is where a random walk meets its first labeled node. With a leak it may end before: a node far from all labeled
    ones, in steps, then gets little of any class.

    Args:
        affinity: (N, N) W; its diagonal does not matter.
        seeds: (N, C) scores, read where labeled.
        labeled: (N,) bool, nodes that keep their scores.
        leak: chance of a step to end the walk, as a fraction of all its other ways; ≥ 0.

    Returns:
        (N, C); rows of labeled nodes are their seeds. Nodes that no labeled node reaches get zeros.
    """
    weights = affinity - torch.diag(affinity.diagonal())
    free = ~labeled
    result = torch.where(labeled[:, None], seeds, torch.zeros_like(seeds))
    if not free.any() or not labeled.any():
        return result
    laplacian = torch.diag((1 + leak) * weights[free].sum(dim=1)) - weights[free][:, free]
    # A trace of leakage keeps parts without any labeled node solvable, at zero.
    laplacian.diagonal().add_(1e-10 * weights.abs().amax().clamp_min(1e-30))
    result[free] = _solve(laplacian, weights[free][:, labeled] @ seeds[labeled])
    return result


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Of a symmetric positive definite matrix; one that rounding has made indefinite is solved all the same."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return torch.linalg.solve(matrix, right) if failed else torch.cholesky_solve(right, factor)


def local_global_consistency(affinity: Tensor, seeds: Tensor, alpha: float = 0.99) -> Tensor:
    """F = (1 − α) (I − α D^−½ W D^−½)⁻¹ Y [Zhou et al., NeurIPS 2003].

    Args:
        affinity: (N, N) W; its diagonal is taken as zero.
        seeds: (N, C) Y, zero rows where nothing is known.
        alpha: fraction of a node's score that comes from its neighbors, in [0, 1).

    Returns:
        (N, C) scores.

    Raises:
        ValueError: alpha out of range.
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha must be in [0, 1), not {alpha}")
    weights = affinity - torch.diag(affinity.diagonal())
    scale = weights.sum(dim=1).clamp_min(1e-30).rsqrt()
    smooth = torch.eye(len(weights), dtype=weights.dtype) - alpha * scale[:, None] * weights * scale
    return (1 - alpha) * torch.linalg.solve(smooth, seeds)


def markov_walk(affinity: Tensor, seeds: Tensor, steps: int = 64) -> Tensor:
    """Seeds · T^steps with T = W, columns normalized [SPML's propagation, on any affinity].

    Args:
        affinity: (N, N) W, diagonal included.
        seeds: (N, C).
        steps: how far.

    Returns:
        (N, C) scores.
    """
    transition = affinity / affinity.sum(dim=0).clamp_min(1e-30)
    scores = seeds.T
    for _ in range(steps):
        scores = scores @ transition
    return scores.T
