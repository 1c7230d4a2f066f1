"""Which classes a photograph shows, told from the whole of it: a second opinion on every pixel.

One logistic regression a class, on pooled features of the backbone *as its weights came*. What training on hints made
of the backbone says nothing new of a photograph; the pretrained features were never fitted to the few training images.
"""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config import NetworkConfig
from hintseg.errors import WeightsError
from hintseg.listing import require_no_pipe
from hintseg.network.backbone import Backbone
from hintseg.network.embedder import padded_to
from hintseg.writing import atomic_path

PRESENCE_FILE = "presence.safetensors"
LEAST = 1e-3  # probability that every class keeps
POOLED = 2  # of the deepest maps


class Regression(NamedTuple):
    """One logistic regression a class.

    Attributes:
        weight: (F, C).
        bias: (C,).
    """

    weight: Tensor
    bias: Tensor

    def probabilities(self, features: Tensor) -> Tensor:
        """(…, F) → (…, C): that an image shows a class."""
        return (features @ self.weight + self.bias).sigmoid().clamp_min(LEAST)


class Presence:
    """A backbone with its pretrained weights, and what follows from its features."""

    def __init__(self, backbone: Backbone, regression: Regression) -> None:
        self.backbone = backbone
        self.regression = regression

    def probabilities(self, image: NDArray[np.uint8]) -> Tensor:
        """(C,) that an (H, W, 3) uint8 image shows a class, on the backbone's device; 1: nothing known."""
        return self.regression.probabilities(pooled_features(self.backbone, image))

    def save(self, path: Path) -> None:
        """Write backbone and regressions as safetensors."""
        from safetensors.torch import save_file

        tensors = {f"backbone.{name}": tensor for name, tensor in self.backbone.state_dict().items()}
        tensors |= self.regression._asdict()
        with atomic_path(path) as temporary:
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, temporary)

    @classmethod
    def load(cls, path: Path, config: NetworkConfig, num_classes: int, device: torch.device) -> Self:
        """Read what `save` wrote.

        Args:
            config: of the network that was trained on the same backbone.

        Raises:
            WeightsError: damaged, or of another backbone or other classes.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        backbone = Backbone(config.backbone, config.output_stride)
        problem = f"{path}: is damaged or belongs to another network; train again."
        try:
            require_no_pipe(path)
            tensors = load_file(path, str(device))
            regression = Regression(tensors.pop("weight"), tensors.pop("bias"))
            backbone.load_state_dict({name.removeprefix("backbone."): tensor for name, tensor in tensors.items()})
        except (SafetensorError, RuntimeError, OSError, KeyError) as error:
            raise WeightsError(problem) from error
        if [*regression.weight.shape, *regression.bias.shape] != [_features(backbone), num_classes, num_classes]:
            raise WeightsError(problem)
        return cls(backbone.to(device).eval(), regression)


def _features(backbone: Backbone) -> int:
    return 2 * sum(backbone.channels[-POOLED:])


@torch.no_grad()
def pooled_features(backbone: Backbone, image: NDArray[np.uint8]) -> Tensor:
    """(F,) float32: mean and maximum of the backbone's deepest `POOLED` maps.

    Args:
        backbone: in evaluation mode.
        image: (H, W, 3) uint8.
    """
    device = next(backbone.parameters()).device
    mean, spread = (
        255 * torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (backbone.mean, backbone.std)
    )
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float()
    maps = backbone(padded_to((pixels - mean) / spread, backbone.multiple))[-POOLED:]
    return torch.cat([pooled for level in maps for pooled in (level.mean(dim=(2, 3))[0], level.amax(dim=(2, 3))[0])])


def agreed(probabilities: Tensor, presence: Tensor, exponent: float) -> Tensor:
    """p_k · presence_k^exponent, normalised.

    Args:
        probabilities: (C, H, W).
        presence: (C,).
    """
    product = probabilities * presence[:, None, None] ** exponent
    return product / product.sum(dim=0, keepdim=True).clamp_min(1e-12)
