"""Nearest segments among many millions: inverted lists of rounded prototypes on disk, then exact cosines.

Lists by nearest of some thousand centers [Sivic and Zisserman 2003; faiss's IVF], four bits a dimension. The index is
mapped into memory: lists that are not looked at stay on disk. It lies in the user's own cache: faiss trusts what it
reads, so that an index which came with somebody's run folder is never opened.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hintseg.errors import RunError
from hintseg.io.writing import atomic_path

LARGE = 2_000_000  # segments; with fewer, all are compared
PROBED = 64  # lists looked at for every query
CANDIDATES = 20  # of each neighbor wanted, whose exact cosine decides
SAMPLE = 40  # segments a list, of which the lists' centers are found
CHUNK = 500_000


class LargeIndex:
    """An approximate index beside the prototypes it was made of."""

    def __init__(self, folder: Path, prototypes: Tensor) -> None:
        """Open the index of these prototypes, or make it where it is absent.

        Args:
            folder: of the user's own indexes.
            prototypes: (M, D) float32 unit.

        Raises:
            RunError: it cannot be written.
        """
        import faiss

        self.prototypes = prototypes
        digest = hashlib.sha256(np.ascontiguousarray(prototypes.numpy()).data)
        path = folder / f"{digest.hexdigest()[:32]}.faiss"
        found = _opened(path)
        if found is None or (found.ntotal, found.d) != tuple(prototypes.shape):
            build_index(prototypes, path)
            found = _opened(path)
        if found is None:
            raise RunError(f"{path}: cannot be read back; remove it, and check the disk.")
        lists = faiss.extract_index_ivf(found)
        lists.nprobe = PROBED
        graph: Any = faiss.downcast_index(lists.quantizer)
        graph.hnsw.efSearch = 2 * PROBED
        self._index = found

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As `propagation.vote.nearest_segments`, but a few of the k may be others that are hardly further away."""
        k = min(k, self.prototypes.shape[0])
        _, rows = self._index.search(np.ascontiguousarray(queries.numpy()), min(k * CANDIDATES, self._index.ntotal))
        candidates = torch.from_numpy(rows)
        cosines = torch.einsum("qd,qkd->qk", queries, self.prototypes[candidates.clamp(min=0)])
        cosines[candidates < 0] = -2  # fewer than asked for were found
        values, places = cosines.topk(k, dim=1)
        return values, candidates.gather(1, places).clamp(min=0)


def build_index(prototypes: Tensor, path: Path) -> None:
    """Write an index of prototypes (M, D) float32 unit."""
    import faiss

    count, dimensions = prototypes.shape
    lists = min(max(int(2 * math.sqrt(count)), 1), max(count // SAMPLE, 1))
    # Which list a prototype belongs to is looked up in a graph of the centers [Malkov and Yashunin 2018], which wants
    # distances; of unit vectors they are in the order of cosines.
    index = faiss.index_factory(dimensions, f"IVF{lists}_HNSW32,SQ4", faiss.METRIC_L2)
    # Evenly spaced segments are of all images, and the same every time.
    step = max(count // (SAMPLE * lists), 1)
    index.train(np.ascontiguousarray(prototypes[::step].numpy()))
    for chunk in prototypes.split(CHUNK):
        index.add(np.ascontiguousarray(chunk.numpy()))
    with atomic_path(path) as temporary:
        faiss.write_index(index, str(temporary))


def _opened(path: Path) -> Any:
    import faiss

    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except RuntimeError:  # absent or damaged
        return None
