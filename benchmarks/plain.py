"""Each part written as its formula reads: dense matrices, image by image. Tests hold the fast parts to these."""

import torch
import torch.nn.functional as F
from torch import Tensor


def contrast(
    pixels: Tensor, own: Tensor, pixel_labels: Tensor, prototypes: Tensor, labels: Tensor, concentration: float
) -> Tensor:  # fmt: skip
    """Mean of −log P / (P + N) over a (pixels × segments) matrix of exponentials that autograd keeps."""
    weights = torch.exp(concentration * pixels @ prototypes.T)
    same = pixel_labels[:, None] == labels
    mine = F.one_hot(own, prototypes.shape[0]).bool()
    others = same & ~mine
    positive = torch.where(others.any(dim=1), (weights * others).sum(dim=1), (weights * mine).sum(dim=1))
    return -(positive / (positive + (weights * ~same).sum(dim=1))).log().mean()


def spherical_kmeans(features: Tensor, clusters: Tensor, iterations: int) -> Tensor:
    """One image after the other; means are products with a one-hot matrix."""
    found = []
    for vectors, assigned in zip(features, clusters, strict=True):
        count = int(assigned.max()) + 1
        for _ in range(iterations):
            means = F.normalize(F.one_hot(assigned, count).to(vectors.dtype).T @ vectors, dim=1)
            assigned = (vectors @ means.T).argmax(dim=1)
        found.append(assigned)
    return torch.stack(found)


def segment_prototypes(embeddings: Tensor, segment_of_pixel: Tensor, num_segments: int) -> Tensor:
    """Products with a one-hot matrix."""
    return F.normalize(F.one_hot(segment_of_pixel, num_segments).to(embeddings.dtype).T @ embeddings, dim=1)


def affinity_label_sets(
    queries: Tensor, prototypes: Tensor, labels: Tensor, query_image: Tensor, prototype_image: Tensor,
    num_classes: int, top_k: int, threshold: float,
) -> Tensor:  # fmt: skip
    """One query after the other."""
    sets = torch.zeros(queries.shape[0], num_classes, dtype=torch.bool)
    for row, (vector, image) in enumerate(zip(queries, query_image, strict=True)):
        candidates = ((prototype_image == image) & (labels < num_classes)).nonzero()[:, 0]
        cosine = prototypes[candidates] @ vector
        best = cosine.topk(min(top_k, len(candidates)))
        sets[row, labels[candidates[best.indices[best.values >= threshold]]]] = True
    return sets


def random_walk(embedding_map: Tensor, seeds: Tensor, concentration: float, exponent: int, doublings: int) -> Tensor:
    """The transition matrix squared `doublings` times."""
    vectors = embedding_map.reshape(-1, embedding_map.shape[2])
    affinity = torch.exp(concentration * (vectors @ vectors.T - 1)) ** exponent
    transition = affinity / affinity.sum(dim=0)
    for _ in range(doublings):
        transition = transition @ transition
    return (seeds.flatten(1) @ transition).reshape(seeds.shape)


def vote(queries: Tensor, memory: Tensor, labels: Tensor, k: int, num_classes: int) -> Tensor:
    """The whole (queries × memory) matrix, sorted."""
    nearest = (queries @ memory.T).argsort(dim=1, descending=True)[:, :k]
    return torch.stack([torch.bincount(row, minlength=num_classes).argmax() for row in labels[nearest]])
