"""RunConfig: what a run folder says about itself."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hintseg.config.aliases import current_settings
from hintseg.config.load import validated
from hintseg.config.schema import Recipe
from hintseg.errors import ConfigError, HintsegError, InputError, RunError, why
from hintseg.hints.colors import COLOR
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import parse_view
from hintseg.hints.names import require_names
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.listing import require_no_pipe
from hintseg.io.pillow import MAX_PIXELS
from hintseg.io.samples import PLAIN, BandSelection
from hintseg.io.storage.addresses import recorded_folder


@dataclass(frozen=True)
class RunConfig:
    """What a run folder says about itself (run.json).

    Attributes:
        recipe: the whole configuration.
        classes, background: of the data set.
        data: folder of the data set it was trained on.
        hint_types: hint types it was trained with.
        keys: training images, in the order the memory bank counts them.
        version: of hintseg.
        view: how the data set's rasters were read; images are read alike.
        largest: longest side of the largest training image, before `data.longest_side` reduced it; 0: not known.
        colors: "#rrggbb" of each class, where somebody chose them.
    """

    recipe: Recipe
    classes: tuple[str, ...]
    background: int | None
    data: str
    hint_types: tuple[str, ...]
    keys: tuple[str, ...]
    version: str
    view: BandSelection = PLAIN
    largest: int = 0
    colors: tuple[str, ...] = ()

    def data_folder(self, run: Path) -> Path:
        """Where the data set lies, as far as a run folder alone may say so: see `storage.addresses.recorded_folder`."""
        return recorded_folder(self.data, run)

    def dataset(self, run: Path, named: str | Path | None) -> Dataset:
        """The data set the run was trained on: the one that the caller names, else `data_folder`.

        Raises:
            InputError: it has moved, or the run names no local folder that holds its training images.
        """
        if named is not None:
            return Dataset.open(named)
        found = Dataset.open(self.data_folder(run))
        if not any(key in found.paths for key in self.keys):
            raise InputError(
                f"{run}: says it was trained on {found.root}, which holds none of its training images; name the data "
                "set by --data."
            )
        return found

    def dump(self) -> str:
        """As JSON."""
        content = {**self.__dict__, "recipe": self.recipe.everything(), "view": self.view[:2]}
        content["stretch"] = self.view.stretch  # which runs of older versions lack
        return json.dumps(content, indent=1, ensure_ascii=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read run.json.

        Raises:
            InputError: it cannot be opened.
            RunError: absent, damaged, or with settings that this version does not have.
        """
        require_no_pipe(path)
        try:
            _require_files(path.parent)
            content = json.loads(path.read_text("utf-8"))
            content["recipe"] = _recipe(content["recipe"], path)
            return cls(**_checked(content, path))
        except FileNotFoundError as error:
            raise RunError(
                f"{path.parent}: is no run folder (it has no {path.name}); train one with hintseg train."
            ) from error
        except RunError:
            raise
        except (
            OSError, HintsegError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError,
        ) as error:  # fmt: skip
            raise RunError(f"{path}: is damaged ({why(error)}).") from error


def _require_files(run: Path) -> None:
    """Refuse a run, which may be a stranger's, where a pipe or device stands for a file: RunError."""
    with os.scandir(run) as entries:
        for entry in entries:
            if not entry.is_file() and not entry.is_dir() and os.path.exists(entry):
                raise RunError(f"{entry.path}: is no ordinary file; remove it.")


def _recipe(content: object, path: Path) -> Recipe:
    try:
        return validated(current_settings(content, str(path), strict=False), "its recipe")
    except ConfigError as error:
        raise RunError(
            f"{path}: was written by another version of hintseg, or is damaged ({str(error).rstrip('.')}); "
            "train a new run, or use the version that wrote it."
        ) from error


def _checked(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The arguments of a `RunConfig`; an error of many kinds where one cannot be."""
    if "forms" in content:
        content["hint_types"] = content.pop("forms")  # their name in older runs
    for name in ("classes", "hint_types", "keys"):
        if not isinstance(content[name], list):
            raise ValueError(f"its {name} must be a list")
        content[name] = tuple(content[name])
    if not all(isinstance(text, str) for text in (content["data"], *content["classes"], *content["keys"])):
        raise ValueError("its data, classes and keys must be texts")
    require_names(content["classes"], path)
    background = content["background"]
    if background is not None and not (type(background) is int and 0 <= background < len(content["classes"])):
        raise ValueError("its background is no class")
    if not set(content["hint_types"]) <= set(HINT_TYPES):
        raise ValueError("its hint types are unknown")
    earlier = content.pop("colours", ())
    content["colors"] = tuple(content.get("colors", earlier))
    is_whole = len(content["colors"]) in (0, len(content["classes"]))
    if not is_whole or not all(map(COLOR.fullmatch, content["colors"])):
        raise ValueError("its colors must be #rrggbb, one a class")
    content["largest"] = int(content.get("largest", 0))
    if not 0 <= content["largest"] <= MAX_PIXELS:
        raise ValueError("its largest image has a side that no image can have")
    content["view"] = _view(content.pop("view", PLAIN[:2]), content.pop("stretch", "largest"), path)
    return content


def _view(shown: Any, stretch: list[float] | str, path: Path) -> BandSelection:
    """As JSON holds it; ValueError or InputError of what no data set can have."""
    bands, limits = shown
    view = parse_view({"bands": bands or None, "range": limits}, path)
    if not isinstance(stretch, str):
        low, high = map(float, stretch)
        if not -math.inf < low <= high < math.inf:
            raise ValueError(f"unknown stretch {stretch!r:.40}")
        return view._replace(stretch=(low, high))
    if stretch == "largest":
        return view._replace(stretch="largest")
    if stretch == "image":
        return view
    raise ValueError(f"unknown stretch {stretch!r:.40}")
