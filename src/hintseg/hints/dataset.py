"""Dataset: images and hints in a folder.

    dataset.json     classes (names, index = label), background (index or null), tags_exhaustive;
                     ignore_index (255), unlabeled (null), first_label (0): values of label maps, see `coding`
    images/KEY.jpg           any format of `listing.IMAGE_SUFFIXES`
    masks/KEY.png            dense label map, 255 where nobody knows; any format of `label_maps.LABEL_SUFFIXES`
    scribbles/KEY.png        label map, 255 = unlabeled
    scribbles.json           KEY → [[class, [[x, y], …]], …]       strokes, over the PNGs or in their place;
                             a third entry is a stroke's width in pixels, 3 without it
    points.json              KEY → [[x, y, class], …]
    contours/KEY.png         gray boundary strength, in place of the color gradient for superpixels
    boxes.json               KEY → [[x0, y0, x1, y1, class], …]     pixels, end exclusive
    tags.json                KEY → [class, …]
    verified_classes.json    KEY → [class, …]: only these are verified; of others nothing is known
    train.txt, val.txt, …    one KEY a line; without train.txt, see `splits`
    studio/                  what the studio keeps; here only its `colors` are read

A class is an index or a name from dataset.json. Everything but `images/` is optional. Without
dataset.json the classes are read off the hints' largest index.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.coding import LabelCoding
from hintseg.hints.colors import chosen_colors
from hintseg.hints.dataset_json import classes_from_hints, parse_description, read_table, table_path, write_description
from hintseg.hints.keys import by_key, near_key
from hintseg.hints.label_maps import LabelMaps, broken_link, list_label_maps, require_own_values, require_size
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.layout import FOLDERS, require_sound
from hintseg.hints.model import ImageHints
from hintseg.hints.names import no_class, plain_name
from hintseg.hints.splits import split_keys
from hintseg.hints.stretch import with_stretch
from hintseg.hints.types.hint_type import Hint, Row
from hintseg.hints.types.registry import HINT_TYPES, with_label_maps, with_tables
from hintseg.io.images import decode_image, read_image, read_image_size
from hintseg.io.listing import Listing, list_images
from hintseg.io.places import require_same_place
from hintseg.io.samples import PLAIN, BandSelection, DecodedImage
from hintseg.io.storage.addresses import is_remote, local_path
from hintseg.io.storage.mirror import Progress, fetch
from hintseg.memory_errors import memory_explained


@dataclass(frozen=True)
class Dataset:
    """A folder of images with hints; see the module's docstring for the layout.

    Its methods raise InputError, with file, image and value, where something is malformed or of another size.

    Attributes:
        root: the folder.
        classes: names; the position is the label.
        background: label of the background class, or None.
        ignore_index: value of ignored pixels in `masks/`, beside 255.
        unlabeled: value of unlabeled pixels in `masks/` and `scribbles/`, beside 255 in the latter.
        first_label: value of the first class in `masks/` and `scribbles/`.
        tags_exhaustive: whether classes that no hint of an image names are absent from it.
        view: which channels of its rasters are shown, and which samples become black and white.
        address: what `open` was given: the folder, or the URL that `root` is a copy of.
    """

    root: Path
    classes: tuple[str, ...]
    background: int | None = None
    ignore_index: int = IGNORE_INDEX
    tags_exhaustive: bool = True
    view: BandSelection = PLAIN
    address: str = ""
    unlabeled: int | None = None
    first_label: int = 0

    @classmethod
    def open(cls, root: str | Path, progress: Progress | None = None) -> Self:
        """Read a data set's description; images are read when asked for.

        Args:
            root: its folder, or a URL ("s3://bucket/folder"), which is copied into the cache first.
            progress: of that copying, see `fetch`.

        Raises:
            InputError: no such folder, no `images/`, or a malformed dataset.json.
            ConfigError: no package is installed for the URL's scheme.
        """
        address = str(root) if is_remote(root) else str(local_path(root).resolve())
        root = fetch(root, progress)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; give a data set folder that contains images/.")
        require_sound(root)
        description = root / "dataset.json"
        if not description.exists():
            return cls(root=root, classes=classes_from_hints(root), address=address)
        return cls(root=root, address=address, **parse_description(description))

    @cached_property
    def paths(self) -> Mapping[str, Path]:
        """KEY → image file, for every image, sorted by key; InputError where two images share one."""
        return by_key(self._listing)

    @cached_property
    def _listing(self) -> Listing:
        return list_images(self.root / "images")

    @property
    def passed_over(self) -> Counter[str]:
        """Suffix → files under `images/` that are not read; see `Listing`."""
        return self._listing.passed_over

    @property
    def label_folders(self) -> tuple[str, ...]:
        """Addresses of the folders from which label maps are read, there or not."""
        return tuple(f"{(self.address or str(self.root)).rstrip('/')}/{folder}" for folder in FOLDERS)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the split files present."""
        return tuple(sorted(path.stem for path in self.root.glob("*.txt")))

    def keys(self, split: str | None = None) -> tuple[str, ...]:
        """Keys of a split, in the file's order; None is every image.

        "train" without a train.txt is every image that no held-out split (val.txt, test.txt, …) lists.

        Raises:
            InputError: no such split, or it lists no image.
        """
        return tuple(self.paths) if split is None else split_keys(self.root, split, self.paths, self.splits)

    def path(self, key: str) -> Path:
        """The image file of a key; InputError where no image has it."""
        try:
            return self.paths[key]
        except KeyError:
            near = near_key(key, self.paths)
            raise InputError(
                f"{self.root / 'images'}: has no image {key!r}, which a split or hint file names{near}."
            ) from None

    @cached_property
    def shown(self) -> BandSelection:
        """`view`, with the limits that its deep images share where dataset.json states none."""
        return with_stretch(self.view, tuple(self.paths.values()))

    def decoded(self, key: str) -> DecodedImage:
        """An image, and which of its pixels hold data."""
        path = self.path(key)
        with memory_explained(str(path), "reduce the image, or cut it into tiles"):
            return decode_image(path, self.shown)

    def image(self, key: str) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, upright."""
        return self.decoded(key).pixels

    def mask(self, key: str, correct: Callable[[str], None] = lambda what: None) -> NDArray[np.uint8] | None:
        """(H, W) uint8 dense label map with `IGNORE_INDEX` for ignored pixels, or None when there is none.

        Args:
            key: of the image.
            correct: takes what is done to the label map.

        Raises:
            InputError: another size than the image, or a label that is no class.
        """
        return self._label_map("masks", key, lambda: read_image_size(self.path(key)), correct)

    def contours(self, key: str) -> NDArray[np.float32] | None:
        """(H, W) float32 boundary strength in [0, 1] that the user supplies, or None."""
        path = self.label_path("contours", key)
        if path is None:
            return None
        strength = read_image(path)[..., 0]
        require_size(path, strength.shape, read_image_size(self.path(key)))
        return strength.astype(np.float32) / np.float32(255)

    def has_mask(self, key: str) -> bool:
        """Whether `masks/` holds a label map for the key."""
        return self.label_path("masks", key) is not None

    def label_path(self, folder: str, key: str) -> Path | None:
        """The file of an image in `masks/`, `scribbles/` or `contours/`; None where there is none."""
        path = self.root / folder / f"{key}.png"  # as what was written since the folder was listed
        if path.exists() or path.is_symlink():
            return path  # of a link that leads nowhere reading says so
        known = self.label_maps[folder]
        if (other := known.files.get(key)) is not None and other.exists():
            return other
        return broken_link(path) if known.passed_over["broken link"] else None

    @cached_property
    def label_maps(self) -> Mapping[str, LabelMaps]:
        """Folder of label maps → its files, as they were when first asked for."""
        return {folder: list_label_maps(self.root / folder) for folder in FOLDERS}

    @cached_property
    def coding(self) -> LabelCoding:
        """Which value of a label map means which class."""
        return LabelCoding(len(self.classes), self.ignore_index, self.unlabeled, self.first_label)

    def hints(
        self, key: str, hint_types: Iterable[str] = HINT_TYPES, size: tuple[int, int] | None = None, maps: bool = True
    ) -> ImageHints:
        """All hints of one image, of the chosen types, with or without label maps.

        Its size (height, width) is read where it is not given.
        """
        chosen, corrections, outside = frozenset(hint_types), list[str](), set[int]()
        known = cache(lambda: size or read_image_size(self.path(key)))
        by_type = {
            name: self._hints(name, key, known, corrections.append, outside, maps)
            for name in HINT_TYPES
            if name in chosen
        }
        outside.update(*(self._named(name, key, known) for name in HINT_TYPES if name not in chosen))
        return ImageHints(
            by_type, self.tags_exhaustive, self.background, self._verified_classes(key), frozenset(outside),
            tuple(corrections),
        )  # fmt: skip

    def _hints(
        self, name: str, key: str, size: Callable[[], tuple[int, int]], correct: Callable[[str], None],
        outside: set[int], maps: bool,
    ) -> tuple[Hint, ...]:  # fmt: skip
        """Hints of one type: those of its table, then its image; classes of what lies outside it go to `outside`."""
        hint_type, found = HINT_TYPES[name], []
        if hint_type.parse is not None:
            where = f"{self.root / name}.json, image {key}"
            label = partial(self.label, where=where)
            for values in self.tables[name].get(key, ()):
                hint = hint_type.parse(Row(values, where, label, size, correct))
                if hint is None:
                    outside.add(label(hint_type.label_of(values)))
                else:
                    found.append(hint)
            if (said := hint_type.conflict(found)) is not None:
                correct(said)
        if (
            maps
            and hint_type.label_map is not None
            and (labels := self._label_map(name, key, size, correct)) is not None
        ):
            found.append(hint_type.label_map(labels))
        return tuple(found)

    def _named(self, name: str, key: str, size: Callable[[], tuple[int, int]]) -> set[int]:
        """Classes that a table names which is not used; all where a row cannot be read."""
        named = set[int]()
        try:
            found = self._hints(name, key, size, lambda what: None, named, False)
        except InputError:
            return set(range(len(self.classes)))
        return named.union(*(hint.named() for hint in found))

    def label(self, value: object, where: str) -> int:
        """A class given as index or name → index; InputError where there is no such class."""
        if isinstance(value, str) and (label := self._label_of.get(plain_name(value))) is not None:
            return label
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self.classes):
            return value
        raise no_class(value, self.classes, where)

    @cached_property
    def _label_of(self) -> dict[str, int]:
        return {plain_name(name): label for label, name in enumerate(self.classes)}

    @property
    def colors(self) -> tuple[str, ...]:
        """ "#rrggbb" of each class, as they are now; nothing where the palette's hold."""
        return chosen_colors(self.root, self.classes)

    def save_description(self) -> None:
        """Write dataset.json."""
        content = {name: getattr(self, name) for name in ("classes", "ignore_index", "background", "tags_exhaustive")}
        if self.unlabeled is not None or self.first_label:
            content |= {"unlabeled": self.unlabeled, "first_label": self.first_label}
        if self.view.stated:
            content |= {"bands": self.view.bands or None, "range": self.view.limits}
        write_description(self.root, content)

    def _verified_classes(self, key: str) -> frozenset[int] | None:
        rows = self.tables["verified_classes"].get(key)
        where = f"{table_path(self.root, 'verified_classes')}, image {key}"
        return None if rows is None else frozenset(self.label(row, where) for row in rows)

    @cached_property
    def tables(self) -> dict[str, dict[str, list[Any]]]:
        """Hint table → KEY → rows, as they were when first asked for; InputError where one cannot be read."""
        return {name: read_table(self.root / f"{name}.json") for name in (*with_tables(), "verified_classes")}

    def hint_keys(self) -> dict[str, frozenset[str]]:
        """Name of each hint table → keys it has rows of, known images or not."""
        named = {name: frozenset(key for key, rows in table.items() if rows) for name, table in self.tables.items()}
        maps = {folder: self.label_maps[folder].files.keys() for folder in with_label_maps()}
        return named | {folder: named.get(folder, frozenset()) | keys for folder, keys in maps.items()}

    def _label_map(
        self,
        folder: str,
        key: str,
        size: Callable[[], tuple[int, int]],
        correct: Callable[[str], None] = lambda what: None,
    ) -> NDArray[np.uint8] | None:
        """FOLDER/KEY.png; what it leaves open is `UNLABELED`, or `IGNORE_INDEX` of a dense type."""
        path = self.label_path(folder, key)
        if path is None:
            return None
        require_own_values(self.root / folder, self.classes, self.first_label)
        require_size(path, (values := self.coding.read(path, self.classes, correct)).shape, size())
        require_same_place(path, self.path(key))
        return self.coding.decode(values, HINT_TYPES[folder].dense, path)
