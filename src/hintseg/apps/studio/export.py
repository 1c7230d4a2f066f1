"""Masks of all images as an archive for another tool."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from hintseg.apps.studio.accepted import accepted
from hintseg.apps.studio.predicted import predicted
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Model
from hintseg.errors import InputError, unknown_name
from hintseg.formats.registry import WRITERS, export_masks
from hintseg.formats.writer import Classes
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_labels
from hintseg.io.writing import link_or_copy
from hintseg.memory_errors import memory_explained

BESIDE = ("labelme",)  # formats whose annotations lie beside their images, not beside a folder images/
LEFT_OUT = "left-out.txt"

Progress = Callable[[str, int, int], None]


def archive(project: Project, model: Model, writer: str, with_images: bool, progress: Progress) -> Response:
    """Masks of all images as a zip: palette PNGs, or another tool's annotations.

    Args:
        writer: its name.
        with_images: whether the images come along.
        progress: called with what is done, how many images of it are, of how many.

    Raises:
        ConfigError: no such writer.
        InputError: there is no mask, its format cannot hold a class name, or a class was deleted meanwhile.
    """
    if writer not in WRITERS:
        raise unknown_name("format", writer, WRITERS)
    dataset, identifiers = project.dataset, project.identifiers
    folder = tempfile.TemporaryDirectory()
    try:
        masks, out = Path(folder.name) / "masks", Path(folder.name) / "out"
        wrong = _write_masks(project, model, masks, progress)
        classes = _classes(project, identifiers)
        note = lambda stage, done, total, numbers: progress("writing", done, total)  # noqa: E731
        export_masks(dict(dataset.paths), masks, out, writer, classes, note)
        if with_images:
            _add_images(dataset, masks, out if writer in BESIDE else out / "images")
        if wrong:
            (out / LEFT_OUT).write_text("\n".join(wrong) + "\n", "utf-8", "replace")
        packed = _packed(out, Path(folder.name) / "packed.zip", progress)
    except BaseException:
        folder.cleanup()
        raise
    headers = {"Left-Out": str(len(wrong))}
    return FileResponse(
        packed, media_type="application/zip", filename=f"masks-{writer}.zip", headers=headers,
        background=BackgroundTask(folder.cleanup),
    )  # fmt: skip


def _classes(project: Project, identifiers: tuple[str, ...]) -> Classes:
    """Today's classes, of which the first are those that there were when masks were begun."""
    with project.locked() as dataset:
        if project.identifiers[: len(identifiers)] != identifiers:
            raise InputError("a class was deleted while the masks were made; export again.")
        colors = tuple(project.appearance.colors_of(project.identifiers))
        return Classes(tuple(dataset.classes), dataset.background, colors)


def _write_masks(project: Project, model: Model, masks: Path, progress: Progress) -> list[str]:
    """MASKS/KEY.png of every image that has a mask or can have one, and why others cannot."""
    wrong, dataset = [], project.dataset
    keys = dataset.keys(None)
    for done, key in enumerate(keys):
        progress("masks", done, len(keys))
        try:
            labels = accepted(project, key)
            if labels is None and (model.name != "hints" or dataset.hints(key).localized()):
                with memory_explained(key, "reduce the image, or cut it into tiles"):
                    labels = predicted(project, model, key)
        except InputError as error:
            wrong.append(str(error))
            continue
        if labels is not None:
            write_labels(masks / f"{key}.png", labels, quickly=True)
    if not masks.is_dir():
        raise InputError(wrong[0] if wrong else "there is no mask to export yet; draw hints or train first.")
    return wrong


def _add_images(dataset: Dataset, masks: Path, out: Path) -> None:
    """The images of all masks, called as annotations call them."""
    for key, path in dataset.paths.items():
        if (masks / f"{key}.png").exists():
            link_or_copy(path, out / f"{key}{path.suffix}")


def _packed(out: Path, packed: Path, progress: Progress) -> Path:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
        for done, path in enumerate(files):
            progress("packing", done, len(files))
            small = path.suffix.lower() in (".json", ".xml", ".txt", ".csv", ".yaml")  # others are small already
            archive.write(path, path.relative_to(out), zipfile.ZIP_DEFLATED if small else zipfile.ZIP_STORED)
    return packed
