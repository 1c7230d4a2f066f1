"""A frozen backbone's feature maps of every image, computed once and kept on disk."""

import hashlib
import os
import re
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hintseg.config.schema import InstantConfig, Recipe
from hintseg.io.writing import atomic_path
from hintseg.network.embedder import Embedder, PixelMaps
from hintseg.network.heads import UnitPyramid
from hintseg.network.tta import rescaled, to_tensor

LARGEST = torch.finfo(torch.float16).max
FEATURES_LIMIT = 20 * 10**9  # bytes of cached features
NAME = re.compile("[0-9a-f]{32}")


def instant_config(recipe: Recipe) -> InstantConfig:
    """The section of a recipe that the instant engine reads."""
    if recipe.instant is None:
        raise ValueError("the recipe has no section 'instant'")
    return recipe.instant


def scale_for(largest: int, recipe: Recipe) -> float:
    """The scale at which the backbone sees images whose largest has sides up to `largest` pixels; 0: unknown."""
    side = min(largest or recipe.data.longest_side, recipe.data.longest_side)
    return round(instant_config(recipe).image_side / side, 3)


class FeatureStore:
    """Feature maps by image content, backbone and scale, in half precision.

    A damaged file is made again. Beyond `limit` the files unused for longest are removed, of those that it names.

    Args:
        folder: of the files, which several runs on the same images may share.
        network: with the decoder "none"; its backbone must not change any more.
        scale: of an image before it enters the backbone.
        limit: bytes.
    """

    def __init__(self, folder: Path, network: Embedder, scale: float, limit: int) -> None:
        self.folder = folder
        self.network = network
        self.scale = scale
        self.limit = limit
        self._levels = network.decoder.count if isinstance(network.decoder, UnitPyramid) else 0
        digest = network.backbone.digest()
        digest.update(torch.cat([network.mean, network.std]).cpu().numpy().tobytes())
        self._backbone = digest.hexdigest()
        self._held = sum(path.stat().st_size for path in self._files())
        self._checked: set[Path] = set()

    def pyramid(self, image: NDArray[np.uint8]) -> list[Tensor]:
        """The backbone's last maps of an (H, W, 3) uint8 image: (C, h, w) float16 each, finest first."""
        path = self.folder / f"{self._key(image)}.safetensors"
        found = self._read(path)
        return self._make(path, image) if found is None else found

    @torch.no_grad()
    def maps(self, image: NDArray[np.uint8]) -> PixelMaps:
        """What `image_maps` gives of the image at this scale: (D, h, w) unit and (C, h, w) probabilities."""
        levels = [level[None].to(self.network.mean) for level in self.pyramid(image)]
        maps = self.network.read(levels, self.scaled_size(image))
        return PixelMaps(maps.embeddings[0], maps.logits.softmax(dim=1)[0])

    def scaled_size(self, image: NDArray[np.uint8]) -> tuple[int, int]:
        """(height, width) at which the backbone sees an image."""
        height, width = (max(round(side * self.scale), 1) for side in image.shape[:2])
        return height, width

    def extent(self, image: NDArray[np.uint8]) -> tuple[float, float]:
        """Fraction of the maps' height and width that an image covers; the rest is padding."""
        multiple = self.network.backbone.multiple
        height, width = (side / (side + -side % multiple) for side in self.scaled_size(image))
        return height, width

    def _key(self, image: NDArray[np.uint8]) -> str:
        told = hashlib.sha256(f"{image.shape} {self.scale!r} {self._levels} {self._backbone}".encode())
        told.update(image.tobytes())
        return told.hexdigest()[:32]

    @torch.no_grad()
    def _make(self, path: Path, image: NDArray[np.uint8]) -> list[Tensor]:
        pixels = rescaled(to_tensor(image, self.network), self.scale)
        levels = [
            level[0].clamp(-LARGEST, LARGEST).to(torch.float16).cpu().contiguous()
            for level in self.network.pyramid(pixels)[-self._levels :]
        ]
        with atomic_path(path) as temporary:
            named = {str(number): level for number, level in enumerate(levels)}
            save_file(named, temporary, metadata={"crc32": str(_checksum(levels)), "name": path.stem})
        self._checked.add(path)
        self._held += path.stat().st_size
        if self._held > self.limit:
            self._make_room(path)
        return levels

    def _read(self, path: Path) -> list[Tensor] | None:
        """The levels in a file, mapped into memory; None where it is absent, damaged or another's."""
        if not path.is_file():  # a pipe would block
            return None
        try:
            with safe_open(path, "pt") as file:
                told = file.metadata() or {}
                if told.get("name", path.stem) != path.stem:
                    return None
                levels = [file.get_tensor(str(number)) for number in range(self._levels)]
                if path not in self._checked and told.get("crc32") != str(_checksum(levels)):
                    return None
        except (OSError, SafetensorError):
            return None
        self._checked.add(path)
        with suppress(OSError):  # somebody else's, or removed meanwhile
            os.utime(path)  # used now: see `_make_room`
        return levels

    def _files(self) -> list[Path]:
        return [path for path in self.folder.glob("*.safetensors") if NAME.fullmatch(path.stem)]

    def _make_room(self, kept: Path) -> None:
        files = sorted(self._files(), key=lambda path: path.stat().st_mtime)
        self._held = sum(path.stat().st_size for path in files)
        for path in files:
            if self._held <= self.limit:
                return
            if path != kept:
                self._held -= path.stat().st_size
                path.unlink(missing_ok=True)


def _checksum(levels: list[Tensor]) -> int:
    value = 0
    for level in levels:
        value = zlib.crc32(level.view(torch.uint8).numpy().data, value)
    return value
