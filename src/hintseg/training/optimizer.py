"""Parameter groups, warm-up and polynomial decay, averaged weights."""

import copy

import torch
from torch import Tensor, nn

from hintseg.config.schema import OptimizerConfig
from hintseg.network.embedder import Embedder

MOMENTUM, POWER = 0.9, 0.9  # of SGD and of the learning rate's decay [SPML]


def build_optimizer(network: Embedder, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Groups: backbone and rest, each weights and biases; biases may learn faster and do not decay."""
    groups = []
    for of_backbone, rate in ((True, config.backbone_lr), (False, config.lr)):
        learning = [
            parameter
            for name, parameter in network.named_parameters()
            if parameter.requires_grad and name.startswith("backbone.") == of_backbone
        ]
        weights = [parameter for parameter in learning if parameter.ndim > 1]
        biases = [parameter for parameter in learning if parameter.ndim <= 1]
        groups.append({"params": weights, "lr": rate, "base": rate, "weight_decay": config.weight_decay})
        fast = rate * config.bias_lr_mult
        groups.append({"params": biases, "lr": fast, "base": fast, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=MOMENTUM, fused=True)
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def learning_rate_factor(step: int, total: int, warmup: int) -> float:
    """min(0.1 (1 − a) + a, (1 − step/total)^0.9) with a = step / warmup [SPML, release]."""
    decayed = (1 - step / total) ** POWER
    if step < warmup:
        share = step / warmup
        return min(0.1 * (1 - share) + share, decayed)
    return decayed


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's base rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor


class AveragedWeights:
    """Exponential moving average of a network's weights, with a short memory at the start.

    After t steps the decay is min(decay, (1 + t) / (10 + t)). Batch-norm statistics are averaged alike.
    """

    def __init__(self, network: Embedder, decay: float) -> None:
        self.decay = decay
        self.network: Embedder = copy.deepcopy(network)
        self.network.eval().requires_grad_(False)
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        mine: list[Tensor] = []
        theirs: list[Tensor] = []
        for own, other in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if own.is_floating_point():
                mine.append(own)
                theirs.append(other)
            else:
                own.copy_(other)
        torch._foreach_lerp_(mine, theirs, 1 - decay)
