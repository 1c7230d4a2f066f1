"""Zip archives of strangers: nothing leaves the folder they are unpacked into, and no small one becomes a huge one."""

import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO

from hintseg.errors import InputError, why

MOST_FILES = 100_000
CHUNK = 2**20
UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]|[ .]$')  # some mean a folder, a drive or a device on other systems


def path_inside(folder: Path, name: str) -> Path:
    """Where a file of that name goes, a path with `/` or `\\` below a folder.

    Raises:
        InputError: it is absolute, leads out, or has letters that no file name can have.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or name.startswith(("/", "\\")) or ".." in parts or any(map(UNFIT.search, parts)):
        raise InputError(f"{name!r:.80}: is no name that a file in this folder can have; rename the file.")
    return folder.joinpath(*parts)


def is_passed_over(name: str) -> bool:
    """Whether a file is hidden, or one that macOS adds to archives."""
    parts = name.replace("\\", "/").split("/")
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in parts)


def unpack(archive: Path, out: Path, largest: int) -> None:
    """Unpack a zip archive, without hidden files.

    Args:
        largest: bytes of all files together.

    Raises:
        InputError: it is damaged, encrypted or too large, or a file is a link or would lie elsewhere.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            if not all(one.filename for one in packed.infolist()):
                raise ValueError("a file without a name")
            members = [one for one in packed.infolist() if not one.is_dir() and not is_passed_over(one.filename)]
            _require_modest(archive.name, members, largest, out)
            for member in members:
                target = _target(archive.name, member, out)
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as content, target.open("xb") as file:
                    _copy(content, file, member.file_size, archive.name)
    except FileExistsError as error:
        raise InputError(f"{archive.name}: holds two files of one name, {error.filename!r:.80}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"{archive.name}: is no zip archive that can be read ({why(error)}); pack it anew.") from error
    except OSError as error:
        raise InputError(f"{archive.name}: cannot be unpacked ({error.strerror or error}).") from error


def _require_modest(name: str, members: list[zipfile.ZipInfo], largest: int, out: Path) -> None:
    size = sum(member.file_size for member in members)
    if size > largest or len(members) > MOST_FILES:
        raise InputError(
            f"{name}: unpacked it is {size / 2**30:.1f} GiB in {len(members)} files, more than {largest / 2**30:.1f} "
            f"GiB or {MOST_FILES} files; unpack it yourself and use hintseg import."
        )
    out.mkdir(parents=True, exist_ok=True)
    if size > shutil.disk_usage(out).free:
        raise InputError(f"{name}: unpacked it is {size / 2**30:.1f} GiB, more than the disk has left.")


def _target(name: str, member: zipfile.ZipInfo, out: Path) -> Path:
    mode = member.external_attr >> 16
    if member.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise InputError(f"{name}: {member.filename!r:.80} in it is a link or a device; pack the file itself.")
    try:
        return path_inside(out, member.filename)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _copy(content: IO[bytes], file: IO[bytes], size: int, name: str) -> None:
    """Copy as much as the archive's list says, and no more."""
    while part := content.read(min(CHUNK, size + 1)):
        size -= len(part)
        if size < 0:
            raise InputError(f"{name}: holds more than its list says; pack it anew.")
        file.write(part)
