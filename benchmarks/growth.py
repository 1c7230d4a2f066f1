"""How time and memory of each part grow with pixels, images, segments or the memory bank."""

import argparse
import math

from benchmarks.parts import PARTS, measure
from benchmarks.record import write

# In the units that the part's docstring names first; retrieval's is the 10 000 segments.
SCALES = {part.__name__: (0.25, 1, 4, 16) for part in PARTS} | {
    "random_walk": (0.25, 0.5, 1, 2),  # the square of the cells in memory, their cube in time
    "retrieval": (1, 10, 100, 1000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(SCALES))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for part in options.parts.split(","):
        curve = []
        for scale in SCALES[part]:
            curve += measure(part, ("hintseg",), scale, options.repeats)
        first, last = curve[-2:]
        ratio = last["seconds"] / first["seconds"]
        for row in curve:
            row["exponent"] = round(math.log(ratio, last["scale"] / first["scale"]), 2)
        rows += curve
        print(*curve, sep="\n", flush=True)
    print(write("growth", rows))


if __name__ == "__main__":
    main()
