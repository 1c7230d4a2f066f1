"""Which image file an annotation means by a name: the one whose path ends most like it.

Names come relative, absolute, from Windows, as URLs, composed or decomposed (NFC, NFD), in another case, without a
suffix. Symbolic links are followed; hidden files and folders are passed over.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from hintseg.errors import InputError
from hintseg.io.images import IMAGE_SUFFIXES
from hintseg.io.listing import or_false

PLACES = ("", "images", "JPEGImages", "img")
MAPS = frozenset({
    "segmentationclass", "segmentationclasspng", "segmentationobject", "segmentationobjectpng", "masks", "mask",
    "labels", "label", "annotations", "gt", "scribbles", "contours",
})  # folders of label maps, in small letters  # fmt: skip
LISTS = "imagesets"  # with a folder below it for each kind of list
PLAIN = MAPS | {LISTS} | {place.lower() for place in PLACES}  # folders whose names say what a file is, not which


def files_below(root: Path) -> list[Path]:
    """Every file below a folder, sorted; linked folders are entered once, hidden ones never."""
    found, seen, waiting = [], set[str](), [str(root)]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if or_false(entry.is_dir):
                    # Linked ones last: of two ways to a folder the one without a link counts.
                    waiting.insert(0 if entry.is_symlink() else len(waiting), entry.path)
                elif or_false(entry.is_file):
                    found.append(entry.path)
    # As paths are sorted, which takes longer.
    return [Path(name) for name in sorted(found, key=lambda name: os.path.normcase(name).split(os.sep))]


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a name, without what says nothing: a drive, a scheme, `.` and `..`."""
    plain = normalize("NFC", name).replace("\\", "/")
    return tuple(part for part in plain.split("/") if part not in ("", ".", "..") and not part.endswith(":"))


def matching(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """How many last parts two paths have in common."""
    count = 0
    while count < min(len(first), len(second)) and first[-1 - count] == second[-1 - count]:
        count += 1
    return count


class ImageFinder:
    """Images below a folder.

    Args:
        root: nothing outside is found but through a link inside.
        among: images that can be meant; None: all below `root`.
    """

    def __init__(self, root: Path, among: list[Path] | None = None) -> None:
        self.root = root
        self._among = among

    def find_named(self, name: str, where: Path, without: frozenset[str] = frozenset()) -> Path | None:
        """`find` of a name as it is, then without a URL's query, then without its escapes."""
        plain = re.split("[?#]", name)[0]
        unsure = None
        for variant in dict.fromkeys((name, plain, unquote(plain))):
            try:
                path = self.find(variant, where, without)
            except InputError as error:
                unsure = unsure or error
            else:
                if path is not None:
                    return path
        if unsure is not None:
            raise unsure
        return None

    def find(self, name: str, where: Path, without: frozenset[str] = frozenset()) -> Path | None:
        """The file that an annotation file `where` means; None where there is none, but in folders `without`.

        Of several, the one beside `where` is meant, then the one whose path has most last parts in common with the
        name, then one that is in no folder of label maps, then the one whose folders are called like those of
        `where`, then one in `PLACES`.

        Raises:
            InputError: several that nothing tells apart, or a file that is no image.
        """
        parts = parts_of(name)
        if not parts:
            return None
        candidates = self._candidates(parts[-1], where)
        if without:
            candidates = [
                path for path in candidates if not without & {part.lower() for part in self._parts(path)[:-1]}
            ]
        if not candidates:
            self._require_no_other(parts[-1])
            return None
        if len(candidates) == 1:
            return candidates[0]
        beside = os.path.normpath(where.parent / normalize("NFC", name).replace("\\", "/"))
        for path in candidates:
            if normalize("NFC", os.path.normpath(path)) == beside:
                return path
        here = self.folders(where)
        places = {self.root / place / "/".join(parts) for place in PLACES}
        likenesses: tuple[Callable[[Path], Any], ...] = (
            lambda path: matching(self._cased(path, parts), parts),
            lambda path: not self._is_map(path),
            lambda path: (self.folders(path) == here, matching(self.folders(path), here)),
            lambda path: path in places,
        )
        for likeness in likenesses:
            best = max(map(likeness, candidates))
            candidates = [path for path in candidates if likeness(path) == best]
        if len({os.path.realpath(path) for path in candidates}) > 1:
            raise InputError(
                f"{where}: names the image {name!r:.80}, which may be {candidates[0]} or {candidates[1]}; write the "
                "name with its folder, or import one folder at a time."
            )
        return candidates[0]

    def namesake(self, where: Path, image: Path) -> Path | None:
        """An image beside another that is called like the annotation file `where`, as that other is not."""
        stem = normalize("NFC", where.stem)
        if stem == normalize("NFC", image.stem):
            return None
        alike = [path for path in self._by_stem[stem.casefold()] if normalize("NFC", path.stem) == stem]
        return next((path for path in alike if path.parent == image.parent), None)

    def _candidates(self, base: str, where: Path) -> list[Path]:
        """Files of this name; else in another case; else with an image's suffix after it.

        Where the name has such a suffix already ("x.tif" of x.tif.jpg) the annotation file must be called so, too;
        label maps are often called like an image that is missing.
        """
        alike = self._by_name[base.casefold()]
        exact = [path for path in alike if normalize("NFC", path.name) == base]
        if exact or alike:
            return exact or alike
        alike = self._by_stem[base.casefold()]
        if PurePosixPath(base).suffix.lower() in IMAGE_SUFFIXES:
            alike = [path for path in alike if normalize("NFC", where.stem) == base and not self._is_map(path)]
        return [path for path in alike if normalize("NFC", path.stem) == base] or alike

    def _require_no_other(self, base: str) -> None:
        wrong = next((path for path in self.files if normalize("NFC", path.name) == base), None)
        if wrong is not None:
            raise InputError(
                f"{wrong}: its suffix is none of an image that can be read ({', '.join(IMAGE_SUFFIXES)}); convert it."
            )

    def _parts(self, path: Path) -> tuple[str, ...]:
        return parts_of(str(path.relative_to(self.root) if path.is_relative_to(self.root) else path))

    def _is_map(self, path: Path) -> bool:
        return bool(MAPS & {part.lower() for part in self._parts(path)[:-1]})

    def folders(self, path: Path) -> tuple[str, ...]:
        """Folders that say which image a file is, or is about."""
        parts = [part.lower() for part in self._parts(path)[:-1]]
        plain = [part in PLAIN or before == LISTS for before, part in zip(["", *parts], parts, strict=False)]
        return tuple(part for part, is_plain in zip(self._parts(path), plain, strict=False) if not is_plain)

    def _cased(self, path: Path, parts: tuple[str, ...]) -> tuple[str, ...]:
        """The path's parts, its file as the name has it: case and suffix were looked at already."""
        return (*self._parts(path)[:-1], parts[-1])

    @cached_property
    def files(self) -> list[Path]:
        """Every file below `root`."""
        return files_below(self.root)

    @cached_property
    def images(self) -> list[Path]:
        """Those that are images."""
        known = self._among
        return [path for path in self.files if path.suffix.lower() in IMAGE_SUFFIXES] if known is None else known

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return self._index(lambda path: path.name)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return self._index(lambda path: path.stem)

    def _index(self, part: Callable[[Path], str]) -> dict[str, list[Path]]:
        table: dict[str, list[Path]] = defaultdict(list)
        for path in self.images:
            table[normalize("NFC", part(path)).casefold()].append(path)
        return table
