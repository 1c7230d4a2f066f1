"""Masks of all images as an archive for another tool."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from fastapi import Response

from hintseg.apps.studio.accepted import accepted
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Model
from hintseg.errors import InputError
from hintseg.formats.registry import WRITERS, export_masks
from hintseg.formats.writer import Classes
from hintseg.io.images import write_labels
from hintseg.memory_errors import memory_explained


def archive(project: Project, model: Model, form: str, progress: Callable[[int, int], None]) -> Response:
    """Masks of all images as a zip: palette PNGs, or another tool's annotations.

    Args:
        form: "png" or the name of a writer.
        progress: called with images done, of how many.

    Raises:
        InputError: no such form, or there is no mask.
    """
    if form != "png" and form not in WRITERS:
        raise InputError(f"{form!r} is no format; known: png, {', '.join(WRITERS)}.")
    dataset = project.dataset
    with tempfile.TemporaryDirectory() as folder:
        masks, wrong = Path(folder) / "masks", []
        keys = dataset.keys(None)
        for done, key in enumerate(keys):
            progress(done, len(keys))
            try:
                labels = accepted(project, key)
                if labels is None and (model.name != "hints" or dataset.hints(key).localized()):
                    with memory_explained(key, "reduce the image, or cut it into tiles"):
                        labels = model.mask(key)
            except InputError as error:
                wrong.append(str(error))
                continue
            if labels is not None:
                write_labels(masks / f"{key}.png", labels, classes=dataset.classes)
        if not masks.is_dir():
            raise InputError(wrong[0] if wrong else "there is no mask to export yet; draw hints or train first.")
        if form != "png":
            classes = Classes(tuple(dataset.classes), dataset.background)
            export_masks(dict(dataset.paths), masks, Path(folder) / "out", form, classes)
        chosen = masks if form == "png" else Path(folder) / "out"
        if wrong:
            (chosen / "left-out.txt").write_text("\n".join(wrong) + "\n", "utf-8", "replace")
        packed = shutil.make_archive(str(Path(folder) / "packed"), "zip", chosen)
        headers = {"Content-Disposition": f'attachment; filename="masks-{form}.zip"', "Left-Out": str(len(wrong))}
        return Response(Path(packed).read_bytes(), media_type="application/zip", headers=headers)
