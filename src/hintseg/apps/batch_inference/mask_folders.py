"""What a folder of masks says of its masks."""

from pathlib import Path

from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import parse_description
from hintseg.hints.types.registry import with_label_maps
from hintseg.io.reading import json_object
from hintseg.io.storage.outputs import MADE_BY


def classes_of_masks(folder: Path) -> tuple[str, ...] | None:
    """Names by label of the masks in a folder, as whoever wrote them left it there; None where nobody says."""
    told = json_object(folder / MADE_BY).get("classes")
    if isinstance(told, list) and told and all(isinstance(name, str) for name in told):
        return tuple(told)
    home = data_set_of_masks(folder)
    return None if home is None else home.classes


def data_set_of_masks(folder: Path) -> Dataset | None:
    """The data set whose label maps a folder holds, and whose values they have; None where it is none."""
    home = folder.resolve().parent
    if folder.name not in with_label_maps() or not (home / "dataset.json").exists():
        return None
    return Dataset(root=home, **parse_description(home / "dataset.json"))
