"""The tables of docs/explanation/results.md, from JSON under paper/results.

`python -m benchmarks.tables` writes them between the markers of the page; `--print` prints them.
"""

import argparse
import json
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, ROOT

PAGE = ROOT / "docs" / "explanation" / "results.md"
NOTHING = "–"

# Recipes with settings of their own, by what they are.
RECIPES = {
    "plain:iterations=300;objective.propagated_cross_entropy.weight=0;objective.candidate_classes.weight=0": (
        "partial cross-entropy, 300 iterations"
    ),
}
PEER_COSTS = ("train_seconds", "image_seconds", "memory_mib")
PARTS = {
    "contrast": "contrastive loss, forward and backward",
    "kmeans": "k-means",
    "prototypes": "prototypes",
    "affinity": "label sets by affinity",
    "random_walk": "random walk",
    "retrieval": "retrieval among 10 000 segments",
}


def load(name: str) -> dict[str, Any]:
    """The content of paper/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: Sequence[float] | None) -> str:
    """Mean ± standard deviation; one value stands alone."""
    if not values:
        return NOTHING
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def machine(found: dict[str, Any]) -> str:
    """The GPU's name, or how many CPU cores there are."""
    device, cores = found["machine"]["device"], found["machine"]["cores"]
    return f"{cores} CPU cores" if device == "cpu" else device


def accuracy() -> str:
    """A line for each row of accuracy-*.json."""
    scores = {"mean_iou": "mean IoU", "mean_iou_crf": "with CRF", "mean_iou_no_crf": "without CRF"}
    header = ["data", "hints", "recipe", "split", "seeds", *scores.values(), "training, s", "remarks"]
    rows = []
    found = [load(path.stem)["rows"] for path in sorted(RESULTS.glob("accuracy-*.json"))]
    for row in chain.from_iterable(found):
        seconds, recipe = row.get("seconds"), RECIPES.get(row["recipe"], row["recipe"])
        rows.append([
            row["data"], row["hints"], recipe, row["split"], ", ".join(map(str, row["seeds"])),
            *(spread(row.get(name)) for name in scores),
            NOTHING if seconds is None else f"{seconds:.0f}", row.get("note") or NOTHING,
        ])  # fmt: skip
    return table(header, rows)


def relationships() -> str:
    """A line for each objective of relationships-*.json, and what it adds to the first."""
    header = ["data", "hints", "objective", "seeds", "with CRF", "gain", "without CRF", "gain"]
    rows = []
    for path in sorted(RESULTS.glob("relationships-*.json")):
        first, *_ = found = load(path.stem)["rows"]
        for row in found:
            line = [row["data"], row["hints"], row["objective"], ", ".join(map(str, row["seeds"]))]
            for name in ("mean_iou_crf", "mean_iou_no_crf"):
                gains = [one - other for one, other in zip(row[name], first[name], strict=True)]
                line += [spread(row[name]), NOTHING if row is first else spread(gains)]
            rows.append(line)
    return table(header, rows)


def suggestions() -> str:
    """What suggested clicks gain over random ones, by round."""
    header = ["data", "recipe", "clicks", "seeds", "random", "suggested", "gain"]
    rows = []
    for path in sorted(RESULTS.glob("suggestions-*.json")):
        found = load(path.stem)["rows"]
        scores = {(row["clicks"], row["way"], row["seed"]): row["mean_iou"] for row in found}
        seeds = sorted({row["seed"] for row in found})
        for clicks in sorted({row["clicks"] for row in found})[1:]:
            ways = [[scores[clicks, way, seed] for seed in seeds] for way in ("random", "suggested")]
            gains = [one - other for other, one in zip(*ways, strict=True)]
            about = [found[0]["data"], found[0]["recipe"], str(clicks), ", ".join(map(str, seeds))]
            rows.append([*about, *map(spread, ways), spread(gains)])
    return table(header, rows)


def speed() -> str:
    """The interactive session, and each part beside plain code."""
    read = {
        "session": _session,
        "studio": _studio,
        "parts-epyc": _parts,
        "parts-crf": _crf,
        "parts-h200-threads-16": _parts,
    }
    found = [rows(load(name)) for name, rows in read.items() if (RESULTS / f"{name}.json").exists()]
    rows = chain.from_iterable(found)
    return table(["what", "machine", "seconds", "plain code, s", "times faster"], rows)


def _session(found: dict[str, Any]) -> list[list[str]]:
    (row,) = found["rows"]
    measured = {
        f"features of {row['images']} images, once": f"{row['features_seconds']:.0f}",
        "the head fitted again after a stroke": f"{row['fit_seconds']:.2f} (at most {row['slowest_fit_seconds']:.2f})",
        "the mask of the shown image": f"{row['mask_seconds']:.2f} (at most {row['slowest_mask_seconds']:.2f})",
    }
    return [[what, machine(found), seconds, NOTHING, NOTHING] for what, seconds in measured.items()]


def _studio(found: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{row['measured']}, {row['images']} images", machine(found),
            f"{row['seconds']:.2f} (at most {row['slowest_seconds']:.2f})", NOTHING, NOTHING,
        ]
        for row in found["rows"]
    ]  # fmt: skip


def _parts(found: dict[str, Any]) -> list[list[str]]:
    seconds = {(row["part"], row["way"]): row["seconds"] for row in found["rows"]}
    rows = []
    for part, name in PARTS.items():
        if (part, "hintseg") in seconds:
            ours, plain = seconds[part, "hintseg"], seconds[part, "plain"]
            rows.append([name, machine(found), f"{ours:#.2g}", f"{plain:#.2g}", f"{plain / ours:.1f}"])
    return rows


def faults() -> str:
    """What commands and readers survive."""
    kills, fuzz = load("kills")["rows"], load("fuzz")["rows"]
    (cluster,), memory = load("cluster")["rows"], load("large-memory")["rows"][-1]
    findings = sum(row["findings"] for row in fuzz)
    commands = ", ".join(row["command"] for row in kills)
    return table(
        ["what was done", "how often", "what came out"],
        [
            [
                f"`kill -9` at random moments of {commands}, then the same command again",
                str(sum(row["kills"] for row in kills)),
                "weights, masks and annotations equal those of an undisturbed run; export and import begin anew in "
                "another folder",
            ],
            [
                f"damaged files read by {len(fuzz)} readers",
                f"{sum(row['executions'] for row in fuzz):,}".replace(",", " "),
                "each read, or refused in one sentence" if not findings else f"{findings} crashes or hangs",
            ],
            [
                f"workers killed in a local Ray cluster of {cluster['workers']}",
                str(cluster["kills"]),
                f"{cluster['equal']} of {cluster['photographs']} masks equal those of one process",
            ],
            [
                "retrieval through the approximate index",
                f"{memory['segments'] // 1_000_000} million segments",
                f"{100 * memory['recall_of_20']:.1f} % of the 20 nearest; "
                f"{memory['exact_seconds'] / memory['search_seconds']:.0f} times as fast as exact search",
            ],
        ],
    )


def _crf(found: dict[str, Any]) -> list[list[str]]:
    """The dense CRF beside pydensecrf2, which stands in the column of plain code."""
    seconds = {(row["part"], row["threads"], row["way"]): row["seconds"] for row in found["rows"]}
    rows = []
    for (part, threads, way), ours in seconds.items():
        if way == "hintseg":
            width, height, classes = part.partition(":")[2].split("x")
            theirs = seconds[part, threads, "plain"]
            count = "1 thread" if threads == 1 else f"{threads} threads"
            name = f"dense CRF, {width}×{height}, {classes} classes, {count}; beside pydensecrf2"
            rows.append([name, machine(found), f"{ours:#.2g}", f"{theirs:#.2g}", f"{theirs / ours:.1f}"])
    return rows


def peers() -> str:
    """A line for each tool of peers-*.json, over the seeds; the best of a data set and kind of mask first."""
    header = ["data", "hints", "images", "masks", "tool", "mean IoU", "training, s", "s an image", "memory, MiB"]
    by_tool: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in chain.from_iterable(load(path.stem)["rows"] for path in sorted(RESULTS.glob("peers-*.json"))):
        tool = " ".join([row["tool"], row.get("version", "")]).strip()
        about = (row["data"], row["hints"], str(row["images"]), row["masks"], tool)
        by_tool.setdefault(about, []).append(row)
    scores = {about: [row["mean_iou"] for row in rows] for about, rows in by_tool.items()}
    ordered = sorted(by_tool, key=lambda about: (about[0], about[3] != "val", -statistics.mean(scores[about])))
    return table(header, [
        [*about, spread(scores[about]), *(_median(by_tool[about], name) for name in PEER_COSTS)] for about in ordered
    ])  # fmt: skip


def _median(rows: Sequence[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows if name in row]
    return f"{statistics.median(values):g}" if values else NOTHING


def sparsity() -> str:
    """Mean IoU by what is left of each stroke."""
    header = ["data", "images", "recipe", "seeds", "length of a stroke left", "mean IoU", "of the whole stroke's"]
    rows = load("sparsity")["rows"]
    return table(header, [
        [
            row["data"], str(row["images"]), row["recipe"], ", ".join(map(str, row["seeds"])),
            f"{100 * row['coverage']:.0f} %", spread(row["mean_iou"]),
            f"{100 * statistics.mean(row['mean_iou']) / _whole(rows, row):.0f} %",
        ]
        for row in rows
    ])  # fmt: skip


def _whole(rows: Sequence[dict[str, Any]], row: dict[str, Any]) -> float:
    """Mean IoU of the same recipe with whole strokes."""
    return statistics.mean(next(
        other["mean_iou"] for other in rows if other["coverage"] == 1 and other["recipe"] == row["recipe"]
    ))  # fmt: skip


def sources() -> str:
    """The command and commit of every result file."""
    found = {path.stem: load(path.stem) for path in sorted(RESULTS.glob("*.json"))}
    return table(
        ["file", "command", "commit"],
        [[name, f"`{content['command']}`", f"`{content['commit']}`"] for name, content in found.items()],
    )


TABLES: dict[str, Callable[[], str]] = {
    "accuracy": accuracy, "relationships": relationships, "peers": peers, "sparsity": sparsity,
    "suggestions": suggestions, "speed": speed, "faults": faults, "sources": sources,
}  # fmt: skip


def filled(page: str) -> str:
    """The page with every generated table between its markers."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: generated by python -m benchmarks.tables -->", f"<!-- {name}: end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
        if len(pattern.findall(page)) != 1:
            raise SystemExit(f"{PAGE.name}: needs the markers {begin!r} and {end!r} once.")
        text = f"{begin}\n\n{made(make)}\n\n{end}"
        page = pattern.sub(lambda found, text=text: text, page)
    return page


def made(make: Callable[[], str]) -> str:
    """A table, or which result file it lacks."""
    try:
        return make()
    except FileNotFoundError as error:
        return f"Not measured: {Path(error.filename).name} is not there."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="leave the page alone")
    if parser.parse_args().print:
        print(*(f"## {name}\n\n{made(make)}" for name, make in TABLES.items()), sep="\n\n")
        return
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
