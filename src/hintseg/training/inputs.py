"""What decides the numbers of a run, kept in its folder: a resumed run must have the same, or says what changed.

The path of the data, worker processes, cores and how often a checkpoint is written decide nothing and are not compared.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hintseg.config.aliases import METHODS, TERMS, current_name, gone_changes
from hintseg.config.explain import leaves
from hintseg.errors import RunError, why
from hintseg.hints.dataset_json import hint_files
from hintseg.inference.run_config import RunConfig
from hintseg.io.listing import require_no_pipe
from hintseg.io.storage.files import mark_of
from hintseg.io.writing import write_text
from hintseg.network.backbone import WEIGHTS_NONE
from hintseg.network.embedder import Embedder
from hintseg.training.job import Job

log = logging.getLogger("hintseg")
FILE = "inputs.json"
FORMAT = 1
TERM_LIST = "the terms of the objective"
HINT_TYPE_LIST = "the hint types"
NOT_COMPARED = ("name", "checkpoint_every", "data.num_workers")  # settings that change no number


@dataclass(frozen=True)
class RunInputs:
    """Everything that a run's weights depend on.

    Attributes:
        settings: name → value as JSON has it: recipe, classes, hint types, precision and the like.
        images: KEY → `pixel_digest`, in the order in which the run counts images.
        hints: KEY → digest of its hints.
    """

    settings: dict[str, Any]
    images: dict[str, str]
    hints: dict[str, str]

    def digest(self) -> str:
        """Of all of it."""
        return hashlib.sha256(json.dumps([self.settings, self.images, self.hints]).encode()).hexdigest()

    def changes(self, before: "RunInputs") -> Iterator[str]:
        """What differs from `before`, a phrase each; images before settings, some of which follow from them.

        Settings that only one of the two knows are left out.
        """
        yield from _changed_keys(before.images, self.images)
        pixels = "pixels, contours or no-data mask"
        for what, old, new in ((pixels, before.images, self.images), ("hints", before.hints, self.hints)):
            changed = [key for key, digest in old.items() if key in new and new[key] != digest]
            if changed:
                yield f"the {what} of {_counted(changed)} changed since"
        for name, value in before.settings.items():
            if name in self.settings and self.settings[name] != value:
                yield f"{name} was {_shown(value)} and is {_shown(self.settings[name])}"
        yield from gone_changes(before.settings)


class HintWatch:
    """Says once a change that hints were edited while a run trains.

    Args:
        root: folder of the data set.
        awake: whether this process looks.
    """

    def __init__(self, root: Path, awake: bool) -> None:
        self.root = root
        self.awake = awake
        self._marks = self._look()

    def tell(self) -> None:
        """Log a warning if hint files changed since the last look."""
        before, self._marks = self._marks, self._look()
        changed = sorted(name for name, _ in before.items() ^ self._marks.items())
        changed = list(dict.fromkeys(changed))
        if changed:
            more = f" and {len(changed) - 1} more files" if len(changed) > 1 else ""
            log.warning(
                "%s%s of the data set changed while the run trained; it goes on with the classes and hints as it read "
                "them at its start. Train a new run to learn from the new ones.", changed[0], more,
            )  # fmt: skip

    def _look(self) -> dict[str, str]:
        try:
            return {name: mark_of(path) for name, path in hint_files(self.root).items()} if self.awake else {}
        except OSError:  # the folder is being moved or written
            return {}


def run_inputs(job: Job, description: RunConfig, network: Embedder, precision: str, device: str) -> RunInputs:
    """The inputs of a run that is about to start, with the network before its first step on a kind of device."""
    content = job.weights if job.weights == WEIGHTS_NONE else network.backbone.digest().hexdigest()[:16]
    settings = _settings(description) | {
        "tags_exhaustive": job.dataset.tags_exhaustive, "precision": precision, "device": device,
        "the content of the backbone's weights": content,
    }  # fmt: skip
    images, hints = ({key: job.digests[key][which] for key in job.keys} for which in (0, 1))
    return RunInputs(settings, images, hints)


def agree_on_inputs(out: Path, inputs: RunInputs) -> str:
    """The name that checkpoints of this run carry; leaves OUT/inputs.json. RunError: a run of other inputs."""
    path = out / FILE
    name = inputs.digest()
    if (out / "run.json").exists():
        name, before = _load(path)
        if changes := list(inputs.changes(before)):
            raise RunError(
                f"{out}: cannot go on, since {'; '.join(changes[:3])}{_more(len(changes) - 3)}. Undo that, or train a "
                "new run with another --out."
            )
        return name
    content = {"format": FORMAT, "name": name, **inputs.__dict__}
    write_text(path, json.dumps(content, ensure_ascii=False))
    return name


def _settings(description: RunConfig) -> dict[str, Any]:
    recipe = leaves(description.recipe.everything())
    kept = {name: value for name, value in recipe if name not in NOT_COMPARED}
    told = {
        "the list of classes": description.classes, "the background": description.background,
        "the view of rasters": description.view, HINT_TYPE_LIST: description.hint_types,
        TERM_LIST: list(description.recipe.objective),
    }  # fmt: skip
    return json.loads(json.dumps(told)) | kept


def _load(path: Path) -> tuple[str, RunInputs]:
    require_no_pipe(path)
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this is {FORMAT}")
        before = RunInputs(_current(content["settings"]), dict(content["images"]), dict(content["hints"]))
        return str(content["name"]), before
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise RunError(f"{path}: is missing or damaged ({why(error)}); train a new run with another --out.") from error


def _current(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their present names, and terms by theirs; those of a run that an earlier version began."""
    found = {current_name(name): value for name, value in settings.items()}
    if "the hint forms" in found:
        found[HINT_TYPE_LIST] = found.pop("the hint forms")
    if "tags_complete" in found:
        found["tags_exhaustive"] = found.pop("tags_complete")
    found[TERM_LIST] = [TERMS.get(name, name) for name in found[TERM_LIST]]
    found["inference.method"] = METHODS.get(found["inference.method"], found["inference.method"])
    return found


def _changed_keys(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    added, gone = [key for key in now if key not in before], [key for key in before if key not in now]
    if added:
        yield f"{_counted(added)} joined the training images"
    if gone:
        yield f"{_counted(gone)} left the training images"
    if not (added or gone) and list(before) != list(now):
        yield "the order of the training images changed"


def _counted(keys: Sequence[str]) -> str:
    return f"image {keys[0]!r}" if len(keys) == 1 else f"{len(keys)} images, first {keys[0]!r},"


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _more(count: int) -> str:
    return f"; {count} more" if count > 0 else ""
