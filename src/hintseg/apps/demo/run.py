"""The demonstration: data set, training, report."""

from pathlib import Path

from hintseg.api import train
from hintseg.apps.demo.images import HELD_OUT, TRAINING, write_demo
from hintseg.apps.report.run_report import write_report
from hintseg.io.storage.mirror import Progress


def run_demo(out: Path, seed: int = 0, progress: Progress | None = None) -> Path:
    """Write out/data, train out/run with the instant engine, and return the path of the report."""
    data = out / "data"
    write_demo(data)
    segmenter = train(
        data, "scribbles", out / "run", engine="instant", device="cpu", seed=seed, resume=True, progress=progress
    )
    drawn = sum(len(segmenter.dataset().hints(key).scribbles) for key in TRAINING)
    path = out / "report.html"
    write_report(
        segmenter,
        path,
        training=tuple(TRAINING),
        others=tuple(HELD_OUT),
        title=f"hintseg demo: {len(TRAINING)} images, {drawn} scribbles",
    )
    return path
