"""Class probabilities and embeddings of one image: scales, mirror, tiles, blended back."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.io.images import resize_longest_side
from hintseg.network.embedder import Network, PixelMaps
from hintseg.network.heads import resize


@torch.no_grad()
def image_maps(network: Network, image: NDArray[np.uint8], flip: bool = False, scale: float = 1.0) -> PixelMaps:
    """Embeddings and probabilities of a whole image in one pass.

    Args:
        network: in evaluation mode.
        image: (H, W, 3) uint8.
        flip: average with the mirrored image.
        scale: of the image before it enters the network.

    Returns:
        (D, h, w) unit embeddings and (C, h, w) probabilities (in the field `logits`).
    """
    pixels = rescaled(to_tensor(image, network), scale)
    maps = network(pixels)
    probabilities, embeddings = maps.logits.softmax(dim=1), maps.embeddings
    if flip:
        mirrored = network(pixels.flip(3))
        back = PixelMaps(mirrored.embeddings.flip(3), mirrored.logits.softmax(dim=1).flip(3))
        probabilities = (probabilities + back.logits) / 2
        embeddings = F.normalize(embeddings + back.embeddings, dim=1, eps=1e-12)
    return PixelMaps(embeddings[0], probabilities[0])


def multi_scale_maps(
    network: Network, image: NDArray[np.uint8], scales: Sequence[float] = (1.0,), flip: bool = False
) -> PixelMaps:
    """(D, h, w) embeddings at the middle scale, and the mean over scales of the softmax at the image's size."""
    views = [image_maps(network, image, flip, scale) for scale in scales]
    resized = [resize(view.logits[None], image.shape[:2])[0] for view in views]
    middle = views[scales.index(middle_scale(scales))]
    return PixelMaps(middle.embeddings, torch.stack(resized).mean(dim=0))


def middle_scale(scales: Sequence[float]) -> float:
    """The middle one (of two the smaller), at which a network was trained and segments are compared."""
    return sorted(scales)[(len(scales) - 1) // 2]


def rescaled(pixels: Tensor, scale: float) -> Tensor:
    """(B, 3, H, W) enlarged or reduced, without aliasing."""
    if scale == 1.0:
        return pixels
    size = [max(round(side * scale), 1) for side in pixels.shape[-2:]]
    return F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=scale < 1)


def tiles(height: int, width: int, side: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """Windows of at most `side` that cover the image and overlap by at least `overlap`.

    Window ends are spaced evenly, as in the authors' sliding window: windows overlap more instead of padding.
    """
    for rows in _spans(height, side, overlap):
        for columns in _spans(width, side, overlap):
            yield rows, columns


def tiled_argmax(
    look: Callable[[slice, slice], NDArray[np.float32]], classes: int, size: tuple[int, int], side: int, overlap: int
) -> NDArray[np.uint8]:
    """Arg-max of blended tiles, one band of tile rows at a time, so that memory does not grow with height.

    Args:
        look: (C, rows, columns) probabilities of a window.
        size: (H, W) of the whole image.
        side, overlap: of the tiles.

    Returns:
        (H, W) uint8.
    """
    height, width = size
    result = np.zeros((height, width), dtype=np.uint8)
    bands = _spans(height, side, overlap)
    total = np.zeros((classes, 0, width), dtype=np.float32)
    done = 0  # rows before this are finished; `total` starts here
    for number, rows in enumerate(bands):
        grown = np.zeros((classes, rows.stop - done, width), dtype=np.float32)
        grown[:, : total.shape[1]] = total
        total = grown
        for columns in _spans(width, side, overlap):
            part = look(rows, columns)
            total[:, rows.start - done :, columns] += part * tile_weight(*part.shape[1:])
        finished = bands[number + 1].start if number + 1 < len(bands) else height
        result[done:finished] = total[:, : finished - done].argmax(axis=0)
        total = total[:, finished - done :]
        done = finished
    return result


def tiled_mean(
    look: Callable[[slice, slice], NDArray[np.float32]], classes: int, size: tuple[int, int], side: int, overlap: int
) -> NDArray[np.float32]:
    """(C, H, W) blended probabilities of tiles; arguments as for `tiled_argmax`."""
    total = np.zeros((classes, *size), dtype=np.float32)
    weights = np.zeros(size, dtype=np.float32)
    for rows, columns in tiles(*size, side, overlap):
        part = look(rows, columns)
        weight = tile_weight(*part.shape[1:])
        total[:, rows, columns] += part * weight
        weights[rows, columns] += weight
    total /= weights
    return total


def tile_weight(rows: int, columns: int) -> NDArray[np.float32]:
    """(rows, columns) blending weight: highest in the middle, small but positive at the border."""
    vertical = np.minimum(np.arange(1, rows + 1), np.arange(rows, 0, -1)).astype(np.float32)
    horizontal = np.minimum(np.arange(1, columns + 1), np.arange(columns, 0, -1)).astype(np.float32)
    return np.minimum(vertical[:, None], horizontal[None, :])


def to_tensor(image: NDArray[np.uint8], network: Network) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, H, W) float32 in [0, 255] on the network's device."""
    return torch.from_numpy(np.ascontiguousarray(image)).to(network.mean.device).permute(2, 0, 1)[None].float()


def _spans(length: int, side: int, overlap: int) -> list[slice]:
    if length <= side:
        return [slice(0, length)]
    count = -(-(length - side) // (side - overlap)) + 1
    return [slice(round(end) - side, round(end)) for end in np.linspace(side, length, count)]


def at_training_scale(image: NDArray[np.uint8], longest_side: int, largest: int) -> NDArray[np.uint8]:
    """The image as large as it would have been in training, which reduces images to a longest side.

    Where no training image was larger than that, every image keeps its size. Otherwise larger images are reduced to
    it, too, and those larger than all training images by as much as the largest of these.

    Args:
        image: (H, W, 3) uint8.
        longest_side: to which training reduced its images, pixels.
        largest: longest side of the largest training image before that; 0: not known.

    Returns:
        (h, w, 3) uint8; the image itself where its size stays.
    """
    if largest <= longest_side:
        return image
    return resize_longest_side(image, round(longest_side * max(max(image.shape[:2]) / largest, 1)))


def enlarged_argmax(probabilities: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Arg-max of (C, h, w) after bilinear enlargement to `size`, in bands of rows so that memory stays small."""
    if tuple(probabilities.shape[1:]) == size:
        return probabilities.argmax(dim=0).to(torch.uint8).cpu().numpy()
    mask = np.zeros(size, dtype=np.uint8)
    rows = (torch.arange(size[0], dtype=torch.float32, device=probabilities.device) + 0.5) * (
        probabilities.shape[1] / size[0]
    ) - 0.5
    rows = rows.clamp(0, probabilities.shape[1] - 1)
    for start in range(0, size[0], 256):
        band = rows[start : start + 256]
        above = band.floor().long()
        below = (above + 1).clamp_max(probabilities.shape[1] - 1)
        share = (band - above)[None, :, None]
        mixed = probabilities[:, above] * (1 - share) + probabilities[:, below] * share
        wide = F.interpolate(mixed, size=size[1], mode="linear", align_corners=False)
        mask[start : start + 256] = wide.argmax(dim=0).to(torch.uint8).cpu().numpy()
    return mask
