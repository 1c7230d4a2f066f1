"""Few images with scribbles, with and without many that only carry tags.

DATA needs a split `train` with scribbles and another with tags alone, as CCP-10 has (`train_tags`).
"""

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from benchmarks.record import write
from hintseg.compare import compare, summary
from hintseg.hints.dataset import Dataset
from hintseg.images import link_or_copy


def mixed(source: Dataset, out: Path, strong: int, weak: str) -> tuple[Dataset, Dataset]:
    """Two folders under `out`: the first images of train with their scribbles, and these with all of `weak`."""
    few, many = source.keys("train")[:strong], source.keys(weak)
    for name, keys in (("alone", few), ("with-tags", (*few, *many))):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        for key in (*keys, *source.keys("val")):
            path = source.paths[key]
            link_or_copy(path, folder / path.relative_to(source.root))
        for key in source.keys("val"):
            link_or_copy(source.root / "masks" / f"{key}.png", folder / "masks" / f"{key}.png")
        for key in few:
            link_or_copy(source.root / "scribbles" / f"{key}.png", folder / "scribbles" / f"{key}.png")
        tags = json.loads((source.root / "tags.json").read_text("utf-8"))
        (folder / "tags.json").write_text(json.dumps({key: tags[key] for key in keys if key in many}), "utf-8")
        (folder / "train.txt").write_text("\n".join(keys), "utf-8")
        shutil.copyfile(source.root / "val.txt", folder / "val.txt")
        shutil.copyfile(source.root / "dataset.json", folder / "dataset.json")
    return Dataset.open(out / "alone"), Dataset.open(out / "with-tags")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="timm")
    parser.add_argument("--strong", type=int, default=100, help="images with scribbles")
    parser.add_argument("--weak", default="train_tags", help="split with tags alone")
    parser.add_argument("--rows", default="default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--name", default="mixture", help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    folder = options.work / options.name
    rows = []
    for dataset in mixed(Dataset.open(options.data), folder, options.strong, options.weak):
        results = compare(
            dataset, options.rows.split(","), None, folder / f"runs-{dataset.root.name}", seeds=range(options.seeds),
            weights=options.weights, iterations=options.iterations, completed=False,
        )  # fmt: skip
        for result in results:
            rows.append({**asdict(result), "run": Path(result.run).name, "images": dataset.root.name})
        print(dataset.root.name, *(" | ".join(line.values()) for line in summary(results)), sep="\n", flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
