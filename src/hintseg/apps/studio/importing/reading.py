"""What an import holds, read by the command line's readers, and how it meets what the project has."""

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from hintseg.apps.studio.drawn import version_of
from hintseg.apps.studio.importing.upload import Upload, is_same_file
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.tables import hinted_keys, mark
from hintseg.apps.studio.uploads import orphaned
from hintseg.errors import HintsegError, InputError
from hintseg.formats.registry import import_dataset
from hintseg.hints.classes import same_names
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_table
from hintseg.hints.names import plain_name
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.storage.mirror import Progress

# What the command line calls its options, and what the page calls them.
OPTIONS = {
    "--format": "the field “format”", "--unlabeled": "the field “unlabeled value”",
    "--background": "the field “class of all that no region covers”",
}  # fmt: skip


@dataclass(frozen=True)
class Read:
    """Annotations that were read.

    Attributes:
        dataset: the folder that they were written into.
        keys: imported key → the project's, of images that can be taken.
        new: those of them that the project has no image of, as the project will call them.
        lost: what is left out → how often.
        notes: sentences about what was changed.
        counts: hint type → how many images have some.
    """

    dataset: Dataset
    keys: Mapping[str, str]
    new: frozenset[str]
    lost: Counter[str]
    notes: tuple[str, ...]
    counts: Mapping[str, int]

    def labels(self, project: Project) -> dict[int, int]:
        """Imported label → the project's, for classes that both have."""
        return same_names(self.dataset.classes, project.dataset.classes)

    def added(self, project: Project) -> list[str]:
        """Names of classes that the project lacks."""
        known = self.labels(project)
        return [name for label, name in enumerate(self.dataset.classes) if label not in known]

    def hinted(self, project: Project) -> list[str]:
        """The project's keys of images that it has hints, a mask or verified classes of already."""
        dataset, verified = project.dataset, read_table(project.root / "verified_classes.json")
        taken = frozenset(self.keys.values())
        return sorted(hinted_keys(dataset, taken) | {key for key in taken if verified.get(key)})

    def taken(self, project: Project) -> list[str]:
        """New keys that the project has an image of by now."""
        known = set(map(_name, project.dataset.paths))
        return sorted(key for key in self.new if _name(key) in known)

    def version(self, project: Project) -> str:
        """Changes with what the project holds of all that the import would change."""
        dataset = project.dataset
        known = [key for key in self.keys.values() if key in dataset.paths]
        masks = {key: dataset.label_path("masks", key) for key in known}
        held = {key: [project.hints_version(key), path and mark(path)] for key, path in masks.items()}
        return version_of([project.table()["version"], held])

    def report(self, project: Project) -> dict[str, Any]:
        """What the page says before anything is taken."""
        return {
            "images": len(self.keys), "new": len(self.new), "counts": dict(self.counts),
            "classes": list(self.dataset.classes), "added": self.added(project), "hinted": self.hinted(project),
            "notes": list(self.notes), "lost": dict(self.lost), "version": self.version(project),
        }  # fmt: skip


def read_upload(
    project: Project, upload: Upload, reader: str, background: str, unlabeled: str, progress: Progress
) -> Read:
    """Read what was uploaded.

    Args:
        reader: a name of `formats.registry.NAMES`.
        background: class of everything that no region covers; empty: that stays unlabeled.
        unlabeled: value or class of label maps that says that nothing was drawn; empty: none.

    Raises:
        HintsegError: as `import_dataset`; paths are those of the files as they were chosen.
    """
    _require_background(project, background)
    shutil.rmtree(upload.out, ignore_errors=True)
    source = upload.prepare(project.dataset)
    try:
        dataset, found = import_dataset(source, upload.out, reader, background or None, progress, unlabeled or None)
    except HintsegError as error:
        raise InputError(_in_words_of_the_page(str(error), upload)) from error
    lost = found.lost.copy()
    keys, new = _matched(project, dataset, upload, found.images, lost)
    if held_out := [name for name in dataset.splits if name != "train"]:
        lost["list of images that are held out (val, test)"] = len(held_out)
    named = dataset.hint_keys()
    counts = {name: len(named[name] & keys.keys()) for name in HINT_TYPES}
    hinted = hinted_keys(dataset)
    keys = {key: own for key, own in keys.items() if key in hinted or own in new}  # others are the project's own
    notes = tuple(_in_words_of_the_page(sentence, upload) for sentence in found.notes)
    return Read(dataset, keys, frozenset(new), lost, notes, counts)


def _require_background(project: Project, name: str) -> None:
    """Refuse a background that only the imported images would have, or that changes what hints mean: InputError."""
    dataset = project.dataset
    own = None if dataset.background is None else dataset.classes[dataset.background]
    if not name or (own is not None and plain_name(own).casefold() == plain_name(name).casefold()):
        return
    if own is not None:
        raise InputError(
            f"{name!r:.80} is not the project's background, which is {own!r:.80}; leave the field “class of all that "
            "no region covers” empty, or choose another background under Classes first."
        )
    if hinted_keys(dataset):
        raise InputError(
            f"the project has no background, and images have hints, to which {name!r:.80} would give another meaning; "
            "choose it as the background under Classes first, or leave the field “class of all that no region covers” "
            "empty."
        )


def _matched(
    project: Project, dataset: Dataset, upload: Upload, sources: Mapping[str, Path], lost: Counter[str]
) -> tuple[dict[str, str], set[str]]:
    """Imported key → the project's, and those that are new.

    Left out are images whose name another image has, or had that is gone while its hints are there.
    """
    orphans = orphaned(project.dataset, [normalize("NFC", key) for key in sources])
    known = {_name(key): key for key in project.dataset.paths}
    keys: dict[str, str] = {}
    new: set[str] = set()
    for key, path in sources.items():
        own = upload.own.get(path) or known.get(_name(key))
        if own is None and normalize("NFC", key) in orphans:
            lost["image whose name belongs to hints of an image that is gone"] += 1
        elif own is None:
            keys[key] = normalize("NFC", key)
            new.add(keys[key])
        elif path in upload.own or is_same_file(path, project.dataset.path(own)):
            keys[key] = own
        else:
            lost["image of another content than the project's image of the same name"] += 1
    return keys, new


def _name(key: str) -> str:
    """The same for keys that some system takes for one file."""
    return normalize("NFC", key).casefold()


def _in_words_of_the_page(sentence: str, upload: Upload) -> str:
    sentence = sentence.replace(f"{upload.folder}/", "").replace(
        str(upload.folder), "the chosen files and this project"
    )
    for option, words in OPTIONS.items():
        sentence = sentence.replace(option, words)
    return sentence
