"""Majority label of the k nearest segments [SPML sec. 3.4]."""

import numpy as np
import torch
from torch import Tensor

from hintseg.errors import InputError


def nearest_segments(queries: Tensor, bank: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Cosine similarity and row of the k nearest bank entries, nearest first.

    Args:
        queries: (Q, D) unit.
        bank: (M, D) unit.
        k: how many; fewer where the bank is smaller.

    Returns:
        (Q, k') similarities and (Q, k') int64 rows.

    Raises:
        InputError: the bank is empty.
    """
    if bank.shape[0] == 0:
        raise InputError(
            "no training segment has a class, so that kNN has nothing to vote with; train with more hints, or use the "
            "method softmax."
        )
    k = min(k, bank.shape[0])
    if queries.device.type == "cpu" and queries.dtype == torch.float32 and bank.shape[0] > 4096:
        import faiss

        wanted, known = np.ascontiguousarray(queries.numpy()), np.ascontiguousarray(bank.numpy())
        similarity, rows = faiss.knn(wanted, known, k, metric=faiss.METRIC_INNER_PRODUCT)
        return torch.from_numpy(similarity), torch.from_numpy(rows)
    found = (queries @ bank.T).topk(k, dim=1)
    return found.values, found.indices


def vote(queries: Tensor, bank: Tensor, bank_labels: Tensor, k: int, num_classes: int) -> Tensor:
    """Label of each query by majority of its k nearest; ties go to the smallest label.

    Args:
        queries: (Q, D) unit.
        bank: (M, D) unit.
        bank_labels: (M,) int64 in [0, num_classes).
        k: [SPML]: 20.

    Returns:
        (Q,) int64.
    """
    return label_fractions(bank_labels[nearest_segments(queries, bank, k)[1]], num_classes).argmax(dim=1)


def label_fractions(labels: Tensor, num_classes: int) -> Tensor:
    """(Q, k) int64 labels → (Q, num_classes) float32: the fraction of each."""
    votes = torch.zeros(labels.shape[0], num_classes, device=labels.device)
    votes.scatter_add_(1, labels, torch.ones_like(labels, dtype=votes.dtype))
    return votes / labels.shape[1]
