"""Files and folders of a data set that are not read, since their names are almost those of what is."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from hintseg.hints.layout import FILES, FOLDERS
from hintseg.hints.splits import split_named

ALIKE = 0.85  # of `difflib`, where 1 is the same: "box.json" is meant, "masks-crf" is not


def misspelt(root: Path) -> Iterator[str]:
    """Sentences about what lies in a data set's folder and is passed over for its name."""
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        meant = _meant(path)
        # Where the file system ignores case, another case is read.
        if meant is not None and not ((root / meant).exists() and path.samefile(root / meant)):
            end = "/" if path.is_dir() else ""
            yield f"{path.name}{end} is not read; did you mean {meant}{end}?"


def _meant(path: Path) -> str | None:
    """The name that is read, where a file or folder has almost this one."""
    known = FOLDERS if path.is_dir() else FILES
    name = path.name.lower().replace("-", "_").replace(" ", "_")
    if path.name in known:
        return None
    if path.suffix != ".txt" and path.suffix.lower() == ".txt" and split_named(path.stem):
        return f"{path.stem}.txt"
    if path.suffix == ".txt" and split_named(path.stem) == "train" and not (path.parent / "train.txt").exists():
        return "train.txt"  # without which all images are trained on but those of other splits
    return next(iter(get_close_matches(name, known, n=1, cutoff=ALIKE)), None)
