"""progress.json: where a run is, for whoever looks at its folder while it trains."""

import json
import time
from pathlib import Path

from hintseg.io.storage.mirror import Progress
from hintseg.io.storage.outputs import MADE_BY
from hintseg.io.writing import write_text

FILE = "progress.json"
EVERY = 0.5  # seconds between two notes of one stage


def noted(folder: Path, progress: Progress | None = None) -> Progress:
    """The same progress, which also leaves its state in a run folder: {"stage", "done", "total"}.

    Nothing is written before the folder is a run's own.
    """
    stage_before, said = "", 0.0

    def note(stage: str, done: int, total: int, values: dict[str, float]) -> None:
        nonlocal stage_before, said
        now = time.monotonic()
        if (stage != stage_before or done == total or now - said > EVERY) and (folder / MADE_BY).exists():
            write_text(folder / FILE, json.dumps({"stage": stage, "done": done, "total": total}))
            stage_before, said = stage, now
        if progress is not None:
            progress(stage, done, total, values)

    return note
