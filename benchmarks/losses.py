"""Networks × losses: what each loss for weak hints adds to partial cross-entropy, on several backbones.

A head on frozen features, trained alike for all rows; what differs is the backbone and the objective. The objectives
are those of `hintseg train --objective NAME`. Beside them: cross-entropy on whole masks, and what is default.
"""

import argparse
from pathlib import Path

from benchmarks.accuracy import measure
from benchmarks.record import write
from benchmarks.relationships import BASE
from hintseg.config.schema import DEFAULT_BACKBONE
from hintseg.hints.dataset import Dataset
from hintseg.network.backbone import WEIGHTS_AUTO
from hintseg.recipes.registry import OBJECTIVES

LOSSES = {
    "partial cross-entropy": "partial_cross_entropy",
    "+ dense CRF": "dense_crf",
    "+ entropy": "entropy",
    "+ dense CRF + entropy": "crf_entropy",
    "+ normalized cut": "normalized_cut",
    "+ relationships (SPML)": "spml",
}


def row(backbone: str, objective: str) -> str:
    """A recipe with settings, as `accuracy.measure` reads it."""
    settings = [BASE, f"network.backbone={backbone}"]
    for name, term in OBJECTIVES[objective].items():
        settings += [f"objective.{name}.{key}={value}" for key, value in term.model_dump(exclude_unset=True).items()]
    return ";".join(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--hints", default="scribbles")
    parser.add_argument("--network", default=DEFAULT_BACKBONE, help="any timm network that returns features")
    parser.add_argument("--weights", default=WEIGHTS_AUTO)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/losses"))
    options = parser.parse_args()
    dataset, network = Dataset.open(options.data), options.network
    plans = {"cross-entropy on whole masks": ("masks", row(network, "partial_cross_entropy"))}
    plans |= {name: (options.hints, row(network, objective)) for name, objective in LOSSES.items()}
    plans["default (fine-tuned)"] = (options.hints, f"fine-tuned:network.backbone={network}")
    rows = []
    for name, (hints, recipe) in plans.items():
        (found,) = measure(
            dataset, [recipe], hints, options.work / network / hints, seeds=range(options.seeds),
            cache=options.work / "cache", weights=options.weights,
        )  # fmt: skip
        rows.append({"network": network, "loss": name, **found})
    print(write(f"losses-{network}", rows))


if __name__ == "__main__":
    main()
