"""Any timm network as a pyramid of feature maps at a chosen output stride."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hintseg.config.schema import DEFAULT_BACKBONE
from hintseg.errors import ConfigError, WeightsError, unknown_name
from hintseg.io.storage.mirror import fetch
from hintseg.network.conv_bn_fusion import fuse_norms
from hintseg.network.weights import packaged_file, read_packaged

WEIGHTS_AUTO = "auto"
WEIGHTS_TIMM = "timm"
WEIGHTS_NONE = "none"


class Backbone(nn.Module):
    """Feature maps of an image, finest first.

    Attributes:
        channels: of each returned map.
        strides: of each returned map, input pixels per cell.
        multiple: height and width of the input must be multiples of this.
        mean, std: (3,) input normalization of the pretrained weights, for values in [0, 1].
    """

    def __init__(self, name: str, output_stride: int = 16, weights: str = WEIGHTS_NONE) -> None:
        """Build the network and load its weights.

        Args:
            name: any timm model that can return features (CNN or ViT).
            output_stride: input pixels per cell of the deepest map, where the model allows a choice.
            weights: "auto" (packaged ones where there are any, else timm's), "timm" (downloaded by timm), "none"
                (random), or a .safetensors / .pth file in timm's names or its URL.

        Raises:
            ConfigError: unknown name, or a network without feature maps.
            WeightsError: weights that cannot be had or do not fit.
        """
        super().__init__()
        self.body = _create(name, output_stride)
        info: Any = self.body.feature_info
        self.channels: list[int] = [int(count) for count in info.channels()]
        self.strides: list[int] = [int(stride) for stride in info.reduction()]
        self._stages = [(str(entry["module"]), int(entry["reduction"])) for entry in info.info]
        self.multiple = max(self.strides)
        config: dict[str, Any] = getattr(self.body, "pretrained_cfg", None) or {}
        self.mean = tuple(config.get("mean", (0.485, 0.456, 0.406)))
        self.std = tuple(config.get("std", (0.229, 0.224, 0.225)))
        packaged = packaged_file(name) if weights == WEIGHTS_AUTO else None
        if packaged is not None:
            _fit(self.body, read_packaged(name, packaged), str(packaged), name)
        elif weights in (WEIGHTS_AUTO, WEIGHTS_TIMM):
            _load_from_timm(self.body, name)
        elif weights != WEIGHTS_NONE:
            path = fetch(weights)
            _fit(self.body, read_state(path), str(path), name)
        side = 2 * self.multiple
        fuse_norms(self.body, torch.linspace(-1, 1, 3 * side**2).view(1, 3, side, side))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalized images → maps (B, channels[i], H / strides[i], W / strides[i])."""
        maps: list[Tensor] = self.body(images)
        return maps

    def digest(self) -> "hashlib._Hash":
        """Of the names and values of its weights."""
        digest = hashlib.sha256()
        for name, tensor in self.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest

    def freeze_stages(self, max_stride: int) -> None:
        """Stop the gradient of every stage up to `max_stride` (0 freezes nothing).

        The paper freezes the stem and the first stage (stride 4). Everything that stands before the last
        frozen stage in the network's order is frozen with it.
        """
        stages = [name for name, stride in self._stages if stride <= max_stride]
        if not stages:
            return
        # timm's wrapper turns "stages.0" into "stages_0" when it flattens a network.
        modules = dict(self.body.named_modules())
        last = modules.get(stages[-1], modules.get(stages[-1].replace(".", "_")))
        if last is None:
            return
        inside = {id(parameter) for parameter in last.parameters()}
        reached = False
        for parameter in self.body.parameters():
            if id(parameter) in inside:
                reached = True
            elif reached:
                return
            parameter.requires_grad_(False)


def _create(name: str, output_stride: int) -> nn.Module:
    import timm

    if name.split(".")[0] not in timm.list_models():
        raise unknown_name("backbone", name.split(".")[0], timm.list_models())
    attempts: list[dict[str, object]] = [
        {"output_stride": output_stride},
        {"dynamic_img_size": True},
        {},
    ]
    for arguments in attempts:
        try:
            body: nn.Module = timm.create_model(name, pretrained=False, features_only=True, **arguments)
        except (TypeError, RuntimeError, AssertionError, NotImplementedError, ValueError, AttributeError):
            continue
        return body
    raise ConfigError(f"Backbone {name!r} cannot return feature maps; choose another timm network, e.g. resnet50.")


def _load_from_timm(body: nn.Module, name: str) -> None:
    import timm

    try:
        pretrained = timm.create_model(name, pretrained=True)
    except Exception as error:  # timm and its hub client raise many kinds; all mean the same to the user
        raise WeightsError(
            f"timm could not download weights for {name!r} ({type(error).__name__}). Without network, leave out "
            f"--backbone (the weights of {DEFAULT_BACKBONE} are installed), or give a file with --weights FILE "
            "(a .safetensors in timm's names)."
        ) from error
    _fit(body, pretrained.state_dict(), f"timm's weights for {name}", name)


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or .pth file; nothing in the file is executed.

    Raises:
        WeightsError: missing, damaged, or a pickle with more than tensors in it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; give an existing file, 'timm' or 'none'.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(
            f"{path}: cannot be read as weights ({type(error).__name__}); the file is damaged."
        ) from error
    except Exception as error:  # UnpicklingError: the file wants to run code
        raise WeightsError(
            f"{path}: holds more than tensors and will not be loaded; save it as .safetensors."
        ) from error
    tensors: dict[str, Any] = state if isinstance(state, dict) else {}
    for wrapper in ("state_dict", "model"):
        inner = tensors.get(wrapper)
        tensors = inner if isinstance(inner, dict) else tensors
    return {key: value for key, value in tensors.items() if isinstance(value, Tensor)}


def _fit(body: nn.Module, state: dict[str, Tensor], source: str, name: str) -> None:
    """Load what fits: timm's wrappers prefix "model." or turn "stages.0" into "stages_0"; the rest is the same."""
    own: dict[str, Tensor] = body.state_dict()
    prefix = "model." if all(key.startswith("model.") for key in own) else ""
    names = {key.removeprefix(prefix).replace(".", "_"): key for key in own}
    fitting = {names[plain]: value for key, value in state.items() if (plain := key.replace(".", "_")) in names}
    missing = [key for key in own if key not in fitting and not key.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(
            f"{source}: does not fit {name}: {len(missing)} of {len(own)} tensors are missing, first {missing[0]!r}; "
            "the file must hold this network under timm's names."
        )
    for key, value in fitting.items():
        if own[key].shape != value.shape:
            raise WeightsError(
                f"{source}: {key} has shape {tuple(value.shape)} but {name} needs {tuple(own[key].shape)}."
            )
    body.load_state_dict(fitting, strict=False)
