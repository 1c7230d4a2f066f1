"""Majority label of the k nearest segments [SPML sec. 3.4]."""

import numpy as np
import torch
from torch import Tensor

from hintseg.errors import InputError


def nearest_segments(queries: Tensor, memory: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Cosine similarity and row of the k nearest memory entries, nearest first.

    Args:
        queries: (Q, D) unit.
        memory: (M, D) unit.
        k: how many; fewer where the memory is smaller.

    Returns:
        (Q, k') similarities and (Q, k') int64 rows.

    Raises:
        InputError: the memory is empty.
    """
    if memory.shape[0] == 0:
        raise InputError("the memory bank is empty: no training segment carries a label.")
    k = min(k, memory.shape[0])
    if queries.device.type == "cpu" and queries.dtype == torch.float32 and memory.shape[0] > 4096:
        import faiss

        wanted, known = np.ascontiguousarray(queries.numpy()), np.ascontiguousarray(memory.numpy())
        similarity, rows = faiss.knn(wanted, known, k, metric=faiss.METRIC_INNER_PRODUCT)
        return torch.from_numpy(similarity), torch.from_numpy(rows)
    found = (queries @ memory.T).topk(k, dim=1)
    return found.values, found.indices


def vote(queries: Tensor, memory: Tensor, memory_labels: Tensor, k: int, num_classes: int) -> Tensor:
    """Label of each query by majority of its k nearest; ties go to the smallest label.

    Args:
        queries: (Q, D) unit.
        memory: (M, D) unit.
        memory_labels: (M,) int64 in [0, num_classes).
        k: [SPML]: 20.

    Returns:
        (Q,) int64.
    """
    return vote_shares(queries, memory, memory_labels, k, num_classes).argmax(dim=1)


def vote_shares(queries: Tensor, memory: Tensor, memory_labels: Tensor, k: int, num_classes: int) -> Tensor:
    """(Q, num_classes) float32: fraction of the k nearest that carry each label."""
    return label_shares(memory_labels[nearest_segments(queries, memory, k)[1]], num_classes)


def label_shares(labels: Tensor, num_classes: int) -> Tensor:
    """(Q, k) int64 labels → (Q, num_classes) float32: the fraction of each."""
    votes = torch.zeros(labels.shape[0], num_classes, device=labels.device)
    votes.scatter_add_(1, labels, torch.ones_like(labels, dtype=votes.dtype))
    return votes / labels.shape[1]
