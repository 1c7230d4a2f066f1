"""What a class can be called: any text that can be shown and told from the others."""

import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from hintseg.errors import InputError

MAX_NAME = 200  # characters
# Control characters, half surrogate pairs, line and paragraph separators.
REFUSED = ("Cc", "Cs", "Zl", "Zp")
# They reverse what stands beside them, so that one name looks like another.
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What tools call the class of everything else.
BACKGROUNDS = frozenset(("background", "bg", "backgr", "hintergrund"))
# What tools call pixels that belong to no class.
VOIDS = frozenset(
    ("void", "ignore", "ignored", "unlabelled", "unlabeled", "unlabel", "unknown", "dontcare", "don't care")
)


def require_names(names: Iterable[str], where: object) -> None:
    """Refuse class names that cannot be shown, or cannot be told apart: InputError."""
    seen: dict[str, str] = {}
    for name in names:
        _require_name(name, where)
        other = seen.get(plain_name(name))
        if other is not None:
            how = "is listed twice" if other == name else f"differs from {other!r} only by blanks or stored accents"
            raise InputError(f"{where}: class {name!r} {how}; rename one of the two.")
        seen[plain_name(name)] = name


def plain_name(name: str) -> str:
    """A name without what nobody sees: composed accents, single blanks."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def names_alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in case only ("Cow", "cow")."""
    seen: dict[str, str] = {}
    return [(other, name) for name in names if (other := seen.setdefault(plain_name(name).casefold(), name)) != name]


def is_unnamed(names: Sequence[str]) -> bool:
    """Whether classes have numbers only, as those of hints without dataset.json ("class 0", "class 1", …)."""
    return all(name == f"class {label}" for label, name in enumerate(names))


def is_background_name(name: str) -> bool:
    """Whether tools call the class of everything else so ("_background_", "BG")."""
    return name.strip().strip("_").lower() in BACKGROUNDS


def is_ignored_name(name: str) -> bool:
    """Whether tools call pixels that belong to no class so ("__ignore__", "unlabeled")."""
    return name.strip().strip("_").lower() in VOIDS


def _require_name(name: object, where: object) -> None:
    if not isinstance(name, str):
        raise InputError(f"{where}: class {name!r:.80} is no name; write it in quotes.")
    if not name.strip():
        raise InputError(f"{where}: a class has an empty name; give it one.")
    if len(name) > MAX_NAME:
        raise InputError(f"{where}: class {name!r:.40}… is longer than {MAX_NAME} characters; shorten it.")
    wrong = next((sign for sign in name if unicodedata.category(sign) in REFUSED or sign in DIRECTIONS), None)
    if wrong is not None:
        raise InputError(
            f"{where}: class {name!r:.80} holds the character U+{ord(wrong):04X}, which cannot be shown; rename it."
        )


def no_class(value: object, classes: Sequence[str], where: str) -> InputError:
    """The error of a value that is neither a class's index nor its name."""
    near = get_close_matches(value, classes, n=1) if isinstance(value, str) else ()
    return InputError(
        f"{where}: {value!r:.80} is no class; use an index 0..{len(classes) - 1} or a name from dataset.json"
        f"{f' (did you mean {near[0]!r}?)' if near else ''}."
    )
