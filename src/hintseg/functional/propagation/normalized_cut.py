"""Normalized cut of one image's graph [Shi & Malik 2000], by eigenvectors and by weighted kernel k-means.

    NC(S) = Σ_k S_kᵀ W (1 − S_k) / dᵀ S_k = K − Σ_k S_kᵀ W S_k / dᵀ S_k

is weighted kernel k-means with weights d and kernel D⁻¹ W D⁻¹ [Dhillon, Guan & Kulis 2004]; average
association −Σ_k S_kᵀ W S_k / |S_k| is the unweighted one.
"""

import torch
from torch import Tensor


def spectral_embedding(affinity: Tensor, vectors: int) -> Tensor:
    """Solutions y of (D − W) y = λ D y with the smallest λ above the constant one.

    Args:
        affinity: (N, N) W.
        vectors: how many.

    Returns:
        (N, vectors), each of yᵀ D y = 1.

    Raises:
        ValueError: fewer nodes than vectors asked for.
    """
    nodes = len(affinity)
    if not 0 < vectors < nodes:
        raise ValueError(f"{vectors} vectors asked of {nodes} nodes")
    scale = affinity.sum(dim=1).clamp_min(1e-30).rsqrt()
    _, found = torch.linalg.eigh(scale[:, None] * affinity * scale)
    return scale[:, None] * found[:, -1 - vectors : -1].flip(1)


def kernel_kmeans(
    affinity: Tensor, assignment: Tensor, num_clusters: int, fixed: Tensor | None = None, *,
    normalized: bool = True, iterations: int = 50,
) -> Tensor:  # fmt: skip
    """Descend on the normalized cut (or average association) from a given assignment.

    Each round moves every free node to the cluster whose center in feature space is nearest; the diagonal
    of the kernel is raised until it is positive semi-definite, so that no round can increase the energy.

    Args:
        affinity: (N, N) W, symmetric.
        assignment: (N,) int64 start, in [0, num_clusters).
        num_clusters: K; clusters may be or become empty.
        fixed: (N,) bool nodes that keep their cluster, e.g. hinted ones.
        normalized: weights d (normalized cut), else 1 (average association).
        iterations: most rounds.

    Returns:
        (N,) int64.
    """
    weights = affinity.sum(dim=1).clamp_min(1e-30) if normalized else torch.ones_like(affinity[0])
    kernel = affinity / weights[:, None] / weights
    scale = weights.sqrt()
    lowest = float(torch.linalg.eigvalsh(scale[:, None] * kernel * scale)[0])
    kernel = kernel + torch.diag(max(-lowest, 0.0) / weights)
    assignment = assignment.clone()
    for _ in range(iterations):
        members = torch.nn.functional.one_hot(assignment, num_clusters).to(kernel.dtype) * weights[:, None]
        mass = members.sum(dim=0)
        to_center = kernel @ members / mass.clamp_min(1e-30)  # φ_p · center_k
        squares = (members * to_center).sum(dim=0) / mass.clamp_min(1e-30)  # ‖center_k‖²
        distance = (squares - 2 * to_center).masked_fill(mass == 0, torch.inf)
        nearest = distance.argmin(dim=1)
        # Ties keep their cluster, so that the descent ends.
        own = distance.gather(1, assignment[:, None])[:, 0]
        nearest = torch.where(distance.amin(dim=1) < own, nearest, assignment)
        if fixed is not None:
            nearest = torch.where(fixed, assignment, nearest)
        if torch.equal(nearest, assignment):
            break
        assignment = nearest
    return assignment
