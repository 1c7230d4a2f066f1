"""Soft self-labeling as one more term of the objective [Zhang & Boykov, CVPR 2025, arXiv 2507.01721].

A hidden distribution y over classes at every pixel minimizes, alternately with the network's σ,

    Σ_p −log Σ_k y_p^k σ_p^k  +  λ Σ_pq w_pq · −log(1 − ½‖y_p − y_q‖²),   y one-hot on hints

(collision cross-entropy, log-quadratic Potts between neighbors). An own implementation: y is solved by Adam in every
batch at the logits' size, w_pq falls with the color difference, and a third of the iterations is partial
cross-entropy alone, in place of the paper's pretrained start. λ and the term's weight are not the authors'.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers.hintseg_rows import objective_row
from benchmarks.peers.task import Predict, Task
from hintseg.training.loss_registry import TERMS, TermInputs

NAME = "soft_self_labels"
WEIGHT, POTTS = 0.3, 6.0
STEPS, LR = 20, 0.3
LEAST = 1e-6


class SoftSelfLabels:
    """The term; zero until it was called `wait` times."""

    def __init__(self) -> None:
        self.calls, self.wait = 0, 0

    def begin(self, iterations: int) -> None:
        """Another training of so many iterations."""
        self.calls, self.wait = 0, iterations // 3

    def __call__(self, inputs: TermInputs) -> Tensor:
        """Collision cross-entropy with y where no hint is drawn."""
        self.calls += 1
        if self.calls <= self.wait:
            return inputs.maps.logits.sum() * 0
        probabilities = inputs.maps.logits.float().softmax(dim=1)
        classes = probabilities.shape[1]
        hinted = inputs.cells.long()
        soft = solved(probabilities.detach(), hinted, inputs.image, inputs.candidate_classes)
        where = inputs.inside & (hinted >= classes)
        return (collision(soft, probabilities) * where).sum() / where.sum().clamp_min(1)


def solved(probabilities: Tensor, hinted: Tensor, image: Tensor, candidates: Tensor) -> Tensor:
    """(B, C, h, w) y of the energy above for given (B, C, h, w) σ, among each image's (B, C) candidate classes."""
    classes = probabilities.shape[1]
    drawn = hinted < classes
    fixed = F.one_hot(hinted.where(drawn, 0), classes).movedim(3, 1).to(probabilities.dtype)
    across, down = edge_weights(image)
    excluded = ~candidates[:, :, None, None]
    logits = probabilities.clamp_min(LEAST).log().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=LR)

    def labels() -> Tensor:
        return torch.where(drawn[:, None], fixed, logits.masked_fill(excluded, -1e4).softmax(dim=1))

    with torch.enable_grad():
        for _ in range(STEPS):
            soft = labels()
            pairs = (across * log_quadratic(soft[..., 1:], soft[..., :-1])).sum()
            pairs = pairs + (down * log_quadratic(soft[..., 1:, :], soft[..., :-1, :])).sum()
            energy = collision(soft, probabilities).sum() + POTTS * pairs
            optimizer.zero_grad()
            energy.backward()
            optimizer.step()
    return labels().detach()


def collision(soft: Tensor, probabilities: Tensor) -> Tensor:
    """−log Σ_k y^k σ^k of every pixel, (B, h, w)."""
    return -(soft * probabilities).sum(dim=1).clamp_min(LEAST).log()


def log_quadratic(one: Tensor, other: Tensor) -> Tensor:
    """−log(1 − ½‖y_p − y_q‖²) of pairs of pixels."""
    return -(1 - 0.5 * (one - other).square().sum(dim=1)).clamp_min(LEAST).log()


def edge_weights(image: Tensor) -> tuple[Tensor, Tensor]:
    """exp(−‖I_p − I_q‖² / 2s²) of horizontal and vertical neighbors, s² the mean of ‖I_p − I_q‖²."""
    squares = [
        (image[..., 1:] - image[..., :-1]).square().sum(dim=1),
        (image[..., 1:, :] - image[..., :-1, :]).square().sum(dim=1),
    ]
    variance = torch.cat([part.flatten(1) for part in squares], dim=1).mean(dim=1).clamp_min(LEAST)[:, None, None]
    across, down = (torch.exp(-part / (2 * variance)) for part in squares)
    return across, down


def soft_self_labeling(task: Task) -> Predict:
    """The recipe `plain` with partial cross-entropy and this term, in the task's time."""
    term = TERMS[NAME] = SoftSelfLabels()
    settings = [f"objective.{NAME}.weight={WEIGHT}"]
    return objective_row("partial_cross_entropy", settings, term.begin)(task)
