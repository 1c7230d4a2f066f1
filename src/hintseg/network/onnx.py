"""A trained network as an ONNX file, run by onnxruntime in place of torch."""

import copy
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hintseg.errors import ConfigError, WeightsError
from hintseg.io.listing import require_no_pipe
from hintseg.io.writing import atomic_path
from hintseg.network.embedder import Embedder, PixelMaps, padded_to

TOLERANCE = 1e-3  # of logits and embeddings, between torch and onnxruntime


class OnnxEmbedder:
    """Stands in for an `Embedder` in evaluation mode; embeddings and logits are the same to 1e-3.

    Attributes:
        mean: a tensor on the device where images are expected, the CPU.
    """

    mean = torch.zeros(1)

    def __init__(self, path: Path) -> None:
        """Load a file that `export_network` wrote.

        Raises:
            ConfigError: onnxruntime is not installed.
            WeightsError: missing, damaged, or not written by hintseg.
        """
        onnxruntime = _import("onnxruntime")
        try:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            known = onnxruntime.get_available_providers()
            providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in known]
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
            described = self.session.get_modelmeta().custom_metadata_map
            self.multiple, self.stride = int(described["multiple"]), int(described["stride"])
            self.weights: str = described["weights"]
            if not 0 < self.stride <= self.multiple:
                raise ValueError("no strides of a network")
        except Exception as error:  # onnxruntime raises many kinds; all mean the same to the user
            raise WeightsError(f"{path}: is missing, damaged or no network of hintseg's; delete it.") from error

    def __call__(self, images: Tensor) -> PixelMaps:
        """(1, 3, H, W) in [0, 255] → maps of (H / stride, W / stride) cells, as the network gives."""
        height, width = images.shape[-2:]
        padded = padded_to(images.float(), self.multiple)
        found = self.session.run(["embeddings", "logits"], {"pixels": padded.cpu().numpy()})
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        embeddings, logits = (torch.from_numpy(array)[..., :rows, :columns] for array in found)
        return PixelMaps(embeddings, logits)


def exported_network(network: Embedder, path: Path, weights: str, classes: tuple[str, ...]) -> OnnxEmbedder:
    """The network of a file, written anew where it is absent or of other weights; see `export_network`."""
    require_no_pipe(path)
    if path.exists() and (found := OnnxEmbedder(path)).weights == weights:
        return found
    export_network(network, path, weights, classes)
    return OnnxEmbedder(path)


def export_network(network: Embedder, path: Path, weights: str, classes: tuple[str, ...]) -> None:
    """Write a network for images of any multiple of its stride, and hold it against torch.

    The file takes `pixels` (1, 3, H, W) float32 RGB in [0, 255] and gives `embeddings` (1, D, h, w) and `logits`
    (1, C, h, w); its metadata name the classes, the multiple that H and W must be of, and the weights.

    Args:
        network: in evaluation mode, on the CPU.
        weights: identifies them, see `digest`.

    Raises:
        ConfigError: the onnx extra is not installed, or this network cannot be exported.
    """
    onnx = _import("onnx")
    _import("onnxscript")
    multiple = network.backbone.multiple
    rows, columns = (torch.export.Dim(name, min=1, max=512) * multiple for name in ("rows", "columns"))
    # Different sides, so that the exporter does not take them for one.
    example = torch.rand(1, 3, 4 * multiple, 6 * multiple) * 255
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        warnings.simplefilter("ignore")
        try:
            program: Any = torch.onnx.export(
                with_fixed_padding(network), (example,), dynamo=True,
                dynamic_shapes=({2: rows, 3: columns},), verbose=False,
                input_names=["pixels"], output_names=["embeddings", "logits"],
            )  # fmt: skip
        except Exception as error:  # the exporter raises many kinds; all mean the same to the user
            raise ConfigError(
                f"torch {torch.__version__} cannot write this network as ONNX (2.6 can write none); predict with "
                "--engine torch."
            ) from error
        model = program.model_proto
        described = {"multiple": multiple, "stride": network.stride, "weights": weights, "classes": json.dumps(classes)}
        onnx.helper.set_model_props(model, {name: str(value) for name, value in described.items()})
        onnx.save(model, temporary)
        _hold_against(OnnxEmbedder(temporary), network)


class _FixedSame(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME", for sides that its stride divides: the padding is a constant then.

    The exporter reasons about sides; through a dozen layers whose padding depends on them it takes many minutes.
    """

    def forward(self, maps: Tensor) -> Tensor:
        padding: list[int] = []
        for axis in (1, 0):  # the last axis comes first
            whole = max(self.dilation[axis] * (self.kernel_size[axis] - 1) + 1 - self.stride[axis], 0)
            padding += [whole // 2, whole - whole // 2]
        return F.conv2d(F.pad(maps, padding), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def with_fixed_padding(network: nn.Module) -> nn.Module:
    """A copy of a network, in which no padding depends on an image's sides; they must be multiples of its strides."""
    from timm.layers import Conv2dSame

    twin = copy.deepcopy(network)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is Conv2dSame:
                fixed = nn.utils.skip_init(
                    _FixedSame, child.in_channels, child.out_channels, child.kernel_size, stride=child.stride,
                    dilation=child.dilation, groups=child.groups, bias=child.bias is not None,
                )  # fmt: skip
                fixed.load_state_dict(child.state_dict())
                setattr(parent, name, fixed.train(child.training))
    return twin


def digest(path: Path) -> str:
    """Of a weights file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@torch.no_grad()
def _hold_against(exported: OnnxEmbedder, network: Embedder) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (1, 3, 150, 101)).astype(np.float32))
    for one, other in zip(exported(pixels), network(pixels), strict=True):
        if one.shape != other.shape or float((one - other).abs().max()) > TOLERANCE:
            raise ConfigError("the network written as ONNX differs from torch's; predict with --engine torch.")


def _import(name: str):  # type: ignore[no-untyped-def]
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"{name} is not installed; pip install 'hintseg[onnx]', or use --engine torch.") from error
