"""Every error hintseg raises on purpose, so that callers can catch one family.

    HintsegError            the user can mend it; the command line prints one sentence, exit code 2
    ├── InputError          an image, mask, hint file or data set is not what was expected
    ├── ConfigError         an option or configuration value is unknown or out of range
    ├── WeightsError        pretrained weights or a checkpoint cannot be used
    ├── RunError            a run folder is missing something, locked or not writable
    └── TrainingError       training cannot go on (loss not finite, memory exhausted)

Each message is one sentence or two: which file or argument, what came, what was expected, what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches

FEW, MANY = 5, 30  # names that an error lists of a table with more than so many


class HintsegError(Exception):
    """Base of all errors that the user can mend."""


class InputError(HintsegError):
    """An image, mask, hint file or data set is not what was expected."""


class ConfigError(HintsegError):
    """An option or configuration value is unknown or out of range."""


class WeightsError(HintsegError):
    """Pretrained weights or a checkpoint cannot be used."""


class RunError(HintsegError):
    """A run folder is missing something, locked by another process or not writable."""


class TrainingError(HintsegError):
    """Training cannot go on."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """An error for a name that is not in a table: the nearest, and all where they are few, else five at most."""
    names = sorted(known)
    near = get_close_matches(name, names, n=FEW, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near and get_close_matches(name, near[:1]) else ""
    if len(names) <= MANY:
        return ConfigError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")
    return ConfigError(f"Unknown {kind} {name!r}.{hint} Some of {len(names)}: {', '.join(near or names[:FEW])}.")


def why(error: BaseException) -> str:
    """What an exception says, for a sentence in brackets; Python's own words about types tell nobody what to mend."""
    text = str(error)
    if isinstance(error, KeyError):
        return f"it lacks {text}"
    if "set_int_max_str_digits" in text:
        return "it holds a number of too many digits"
    internal = isinstance(error, TypeError | AttributeError | LookupError | ArithmeticError | RecursionError)
    if internal or not text or any(word in text for word in _INTERNAL):
        return "its content is not what it should be"
    return text


_INTERNAL = ("unpack", "NoneType", "invalid literal", "inhomogeneous", "array element", "could not convert", "reshape")
