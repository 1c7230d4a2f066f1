"""How far a run is as a whole, and how long it will still take."""

import json
import time
from pathlib import Path
from typing import Any

from hintseg.training.progress import FILE

STAGES = {
    "decode": "reading images", "features": "computing features",
    "tags": "locating tagged classes", "hints": "propagating labels", "selection": "choosing how masks are refined",
    "fit": "fitting", "pseudo-labels": "labeling training images", "train": "training",
    "complete": "completing masks", "memory": "building the memory bank",
}  # fmt: skip
# Which part of a run is over when a stage begins, in their order; measured on two cores.
INSTANT = {
    "features": 0.02, "tags": 0.35, "hints": 0.4, "selection": 0.5, "fit": 0.6, "pseudo-labels": 0.7,
    "memory": 0.9,
}  # fmt: skip
FULL = {
    "decode": 0.01, "features": 0.03, "tags": 0.06, "hints": 0.08, "fit": 0.1, "pseudo-labels": 0.11,
    "train": 0.12, "complete": 0.9, "memory": 0.95,
}  # fmt: skip
SOONEST = 0.1  # part of a run before which nothing is said of the rest


def run_progress(run: Path, instant: bool, started: float) -> dict[str, Any]:
    """Stage in words, done and total of it, `part` of the whole run from 0 to 1, and seconds `left`, None if unknown.

    Args:
        run: its folder; there may be none yet.
        instant: whether it is a run of the instant engine.
        started: when, `time.time`; 0: unknown.
    """
    found: dict[str, Any] = {"stage": "starting", "done": 0, "total": 0, "part": 0.0, "left": None}
    try:
        told = json.loads((run / FILE).read_text("utf-8"))
        stage, done, total = str(told["stage"]), int(told["done"]), int(told["total"])
    except (OSError, ValueError, KeyError, TypeError):
        return found
    part = whole_part(stage, done / total if total else 0.0, INSTANT if instant else FULL)
    elapsed = time.time() - started
    left = round(elapsed * (1 - part) / part) if started and part >= SOONEST else None
    return {"stage": STAGES.get(stage, stage), "done": done, "total": total, "part": round(part, 3), "left": left}


def whole_part(stage: str, part: float, begins: dict[str, float]) -> float:
    """Part of the whole run, from part of a stage; an unknown stage counts as the beginning."""
    names = list(begins)
    if stage not in begins:
        return 0.0
    place = names.index(stage)
    end = begins[names[place + 1]] if place + 1 < len(names) else 1.0
    return begins[stage] + (end - begins[stage]) * min(max(part, 0.0), 1.0)
