"""TIFF files, opened so that what they claim is held against what they hold."""

import logging
import lzma
import math
import re
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from hintseg.errors import InputError, why
from hintseg.io.listing import require_file
from hintseg.io.reading import parse_xml

# Files of microscopes may name further files as parts of their image; each file is an image of its own here.
ALONE: dict[str, Any] = {"_multifile": False, "is_mmstack": False, "is_ndtiff": False}
MOST_PAGES = 1000  # of one file, and reduced copies of one page
COUNTS = ("PlaneCount", "SizeC", "SizeZ", "SizeT", "FirstC", "FirstZ", "FirstT", "IFD", "SamplesPerPixel")  # of OME-XML
DEFLATE, LZMA = (8, 32946), 34925  # kinds of compression that say nowhere how much they hold
DEFLATED = 1032  # bytes that a byte of Deflate holds at most
MODEST = 1 << 27  # bytes that may be unpacked without a look
SPARE = 1 << 20  # bytes that a strip or tile may hold beyond its rows


def opened_tiff(path: Path) -> tifffile.TiffFile:
    """The file, whose header is sound; close it.

    Raises:
        InputError: it is not, or there is no file.
    """
    require_file(path)
    complaints, file = _Complaints(), None
    try:
        with complaints:
            file = tifffile.TiffFile(path, **ALONE)
            # The reader would follow them all, for minutes in a file made or damaged to that end.
            if len(file.pages) > MOST_PAGES or any(len(page.subifds or ()) > MOST_PAGES for page in file.pages):
                raise ValueError(f"it has more than {MOST_PAGES} pages")
            if any(_has_vast_tiles(page) for page in file.pages if isinstance(page, tifffile.TiffPage)):
                raise ValueError("its tiles are far larger than it is")
            if (file.is_ome or file.is_imagej) and not _holds_what_it_says(file):
                file.close()
                file = tifffile.TiffFile(path, **ALONE, is_ome=False, is_imagej=False)
            found = len(file.series)
        if not found or complaints.said:
            raise ValueError("; ".join(complaints.said) or "it holds no image")
        return file
    except Exception as error:  # a damaged header raises anything
        if file is not None:
            file.close()
        raise InputError(f"{path}: cannot be decoded ({why(error)}); the file is truncated or damaged.") from error


def _has_vast_tiles(page: tifffile.TiffPage) -> bool:
    """Whether a tile, which is unpacked whole, has far more pixels than the page; small images have one of 4096²."""
    return page.tilelength * page.tilewidth > max(4 * page.imagelength * page.imagewidth, 4096**2)


def _holds_what_it_says(file: tifffile.TiffFile) -> bool:
    """Whether a microscope's description counts no more planes than there are; the reader makes lists of them.

    A page that was saved as a file of its own may have kept the description of all.
    """
    description, planes = file.pages.first.description, len(file.pages) * file.pages.first.samplesperpixel
    if not file.is_ome:
        return all(int(count) <= planes for count in re.findall(r"^images=(\d{1,9})$", description, re.M))
    try:
        for element in parse_xml(description.encode(), "").iter():
            if "Modulo" in element.tag or any(int(element.get(name, 0)) > MOST_PAGES for name in COUNTS):
                return False
            if math.prod(int(element.get(name, 1)) for name in ("SizeC", "SizeZ", "SizeT")) > planes:
                return False
    except (InputError, ValueError):
        return False
    return True


def require_bounded(path: Path, file: tifffile.TiffFile, pages: Iterable[Any]) -> None:
    """Refuse strips and tiles that unpack to far more than a page has; the reader unpacks them whole.

    Raises:
        InputError: one does.
    """
    for page in pages:
        kind = None if page is None else page.keyframe.compression
        if kind not in (*DEFLATE, LZMA):
            continue
        limit = int(np.prod(page.chunks, dtype=np.int64)) * page.keyframe.bitspersample // 8 + SPARE
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if kind == LZMA or count * DEFLATED > max(limit, MODEST):
                file.filehandle.seek(offset)
                if _unpacked(file.filehandle.read(count), kind, limit + 1) > limit:
                    raise InputError(f"{path}: unpacks to far more than its pixels; the file is damaged.")


def _unpacked(content: bytes, compression: int, limit: int) -> int:
    """How many bytes compressed ones hold, counted up to a limit; what is damaged is left to the reader."""
    try:
        if compression == LZMA:
            return len(lzma.LZMADecompressor(memlimit=max(limit, 1 << 28)).decompress(content, limit))
        return len(zlib.decompressobj().decompress(content, limit))
    except lzma.LZMAError as error:
        return limit if "memory" in str(error).lower() else 0
    except zlib.error:
        return 0


class _Complaints(logging.Handler):
    """What tifffile finds wrong with a file and only logs, while entered."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        logger = logging.getLogger("tifffile")
        logger.addHandler(self)
        logger.propagate = False

    def __exit__(self, *error: object) -> None:
        logger = logging.getLogger("tifffile")
        logger.removeHandler(self)
        logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:  # others read files of their own
            self.said.append(record.getMessage())
