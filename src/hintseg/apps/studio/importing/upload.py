"""Uploaded annotations: a folder of their own in the project, with what they are about, until they are taken."""

import filecmp
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from unicodedata import normalize

from hintseg.apps.studio.links import writable
from hintseg.errors import InputError, RunError
from hintseg.formats.finding import MAPS, files_below
from hintseg.hints.dataset import Dataset
from hintseg.io.listing import is_image_name
from hintseg.io.unpack import MOST_FILES, is_passed_over, path_inside, unpack
from hintseg.io.writing import link_or_copy

LARGEST = 4 * 2**30  # bytes of one import


class Upload:
    """The files of one import.

    Attributes:
        folder: holds what was uploaded.
        out: where the data set is written that is read from it.
        own: uploaded folder's path of a linked image → key of the project's image.
    """

    def __init__(self, root: Path) -> None:
        self.name = secrets.token_hex(8)
        self._root = root
        self._place = writable(root, "studio", "import", self.name, "any").parent
        self.folder, self.out = self._place / "files", self._place / "data"
        self.own: dict[Path, str] = {}
        self._size = self._files = 0
        self._is_prepared = self._is_linked = False
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be made ({error.strerror}); free some space.") from error

    async def add(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Write one file; a hidden one is passed over.

        Raises:
            InputError: its name is none, there already, or all files together are too large or too many.
            RunError: it cannot be written.
        """
        path = path_inside(self.folder, normalize("NFC", name))
        self._files += 1
        if self._is_prepared or self._files > MOST_FILES:
            raise InputError(f"{name:.80}: is one file too many for this import; begin a new one.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await self._write(name, path, content)
        except FileExistsError as error:
            raise InputError(f"{name:.80}: another file of this name was chosen, too.") from error
        except OSError as error:
            raise RunError(
                f"{name:.80}: cannot be written ({error.strerror}); free some space or shorten its name."
            ) from error
        if is_passed_over(name):
            path.unlink()

    async def _write(self, name: str, path: Path, content: AsyncIterator[bytes]) -> None:
        """A whole new file, or none."""
        file = path.open("xb")
        try:
            with file:
                async for part in content:
                    self._size += len(part)
                    if self._size > LARGEST:
                        most = f"{LARGEST / 2**30:.0f} GiB"
                        raise InputError(f"{name:.80}: with it the files are larger than {most}; use hintseg import.")
                    file.write(part)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def prepare(self, dataset: Dataset) -> Path:
        """Unpack archives, link the project's images beside, and return what is to be read: a folder or a file.

        Raises:
            InputError: nothing was uploaded, or an archive cannot be unpacked.
        """
        if not self._is_prepared:
            self._unpack()
            self._is_prepared = True
        files = files_below(self.folder)
        if not files:
            raise InputError("no file was chosen; choose annotation files, a folder or a zip archive.")
        source = self.folder
        while len(entries := list(source.iterdir())) == 1 and entries[0].is_dir():
            source = entries[0]
        if not self._is_linked:
            self._link(dataset, files, source)
        own = [path for path in files if path not in self.own]
        return own[0] if len(own) == 1 and not is_image_name(own[0].name) else source

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self._place, ignore_errors=True)

    def _link(self, dataset: Dataset, files: list[Path], source: Path) -> None:
        """Put the project's images beside, but those that came with the upload: two of a name are one too many."""
        uploaded = {_stem(path) for path in files if is_image_name(path.name) and not self._is_map(path)}
        for key, path in dataset.paths.items():
            target = source / "images" / f"{key}{path.suffix}"
            if _stem(path) not in uploaded and not target.exists():
                link_or_copy(path, target)
                self.own[target] = key
        self._is_linked = True

    def _unpack(self) -> None:
        for path in [path for path in files_below(self.folder) if path.suffix.lower() == ".zip"]:
            alone = len(files_below(self.folder)) == 1
            unpack(path, path.parent if alone else path.with_suffix(""), LARGEST)
            path.unlink()

    def _is_map(self, path: Path) -> bool:
        return bool(MAPS & {part.lower() for part in path.relative_to(self.folder).parts[:-1]})


def remove_stale(root: Path, current: set[str]) -> None:
    """Delete imports that nobody goes on with."""
    place = writable(root, "studio", "import", "any").parent
    for path in place.iterdir() if place.is_dir() else ():
        if path.name not in current and re.fullmatch("[0-9a-f]{16}", path.name):  # as `Upload` names them
            shutil.rmtree(path, ignore_errors=True)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes."""
    return filecmp.cmp(one, other, shallow=False)


def _stem(path: Path) -> str:
    return normalize("NFC", path.stem).casefold()
