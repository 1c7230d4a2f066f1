"""What any method above may ask of an affinity W: its products W S and its degrees W 1."""

from typing import Protocol

from torch import Tensor


class Pairwise(Protocol):
    """A symmetric, non-negative affinity between the N pixels of each of B images."""

    def apply(self, values: Tensor) -> Tensor:
        """W S for S (B, C, N)."""
        ...

    def degree(self) -> Tensor:
        """W 1, (B, N)."""
        ...
