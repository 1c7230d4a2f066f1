"""The paper's pixel-to-segment relationships, one by one and together, beside partial cross-entropy alone.

A head on frozen features, trained alike for all rows: what differs is the objective. Concentrations are those of the
paper's points [SPML, section 4 and supplement]; low-level image similarity needs no further setting.
"""

import argparse
from pathlib import Path

from benchmarks.accuracy import measure
from benchmarks.record import write
from hintseg.hints.dataset import Dataset

BASE = (
    "plain:iterations=300;network.freeze_stride=32;label_propagation.superpixels=0;inference.scales=[1.0];"
    "optimizer.lr=0.003;objective.propagated_cross_entropy.weight=0;objective.candidate_classes.weight=0"
)
CONCENTRATION = {"annotation": 6, "cooccurrence": 8, "similarity": 16}


def with_terms(weight: float, *terms: str) -> str:
    """`BASE` with relationships of one weight, beside partial cross-entropy of weight 1."""
    settings = (
        f"objective.{term}.weight={weight};objective.{term}.concentration={CONCENTRATION[term]}" for term in terms
    )
    return ";".join([BASE, *settings])


def paper() -> str:
    """Partial cross-entropy and all relationships with the weight 0.1 of the paper's points."""
    together = with_terms(0.1, *CONCENTRATION).removeprefix(f"{BASE};")
    return f"{BASE};objective.partial_cross_entropy.weight=0.1;{together}"


ROWS = {
    "partial cross-entropy": BASE,
    "+ semantic annotation, weight 0.1": with_terms(0.1, "annotation"),
    "+ semantic co-occurrence, weight 0.1": with_terms(0.1, "cooccurrence"),
    "+ low-level image similarity, weight 0.1": with_terms(0.1, "similarity"),
    "+ all three, weight 0.1 each": with_terms(0.1, *CONCENTRATION),
    "+ all three, equal weights (paper)": paper(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--hints", default="points")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    rows = measure(
        Dataset.open(options.data), list(ROWS.values()), options.hints, options.work / options.name,
        seeds=range(options.seeds),
    )  # fmt: skip
    named = dict(zip(ROWS.values(), ROWS, strict=True))
    print(write(options.name, [{"objective": named[row["recipe"]], **row} for row in rows]))


if __name__ == "__main__":
    main()
