"""Classes of a run and of a data set: the same class is the one of the same name, whatever its number."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.model import ImageHints
from hintseg.hints.names import is_unnamed
from hintseg.hints.types.hint_type import Hint


@dataclass(frozen=True)
class ClassMap:
    """Numbers of classes in a data set and in a run.

    Attributes:
        own: names in the data set.
        learned: names in the run.
        run_label: data set's label → run's label, for classes that both have.
        notes: sentences about classes that are not matched by exactly their name.
    """

    own: tuple[str, ...]
    learned: tuple[str, ...]
    run_label: dict[int, int]
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether every class has one number in both."""
        return self.own == self.learned

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Classes of the data set that the run lacks."""
        return tuple(name for label, name in enumerate(self.own) if label not in self.run_label)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Classes of the run that the data set lacks."""
        met = set(self.run_label.values())
        return tuple(name for label, name in enumerate(self.learned) if label not in met)

    def shared(self) -> NDArray[np.bool_]:
        """(C,) bool: classes of the run that the data set has."""
        found = np.zeros(len(self.learned), np.bool_)
        found[list(self.run_label.values())] = True
        return found

    def own_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels of the run as the data set numbers them; `IGNORE_INDEX` for a class that it lacks."""
        if self.same:
            return labels
        table = np.arange(256, dtype=np.uint8)
        table[: len(self.learned)] = IGNORE_INDEX
        for own, label in self.run_label.items():
            table[label] = own
        return table[labels]

    def run_hints(self, hints: ImageHints, where: str) -> ImageHints:
        """Hints as the run numbers them; InputError where one names a class that the run never learned."""
        if self.same:
            return hints
        needed = hints.classes() | (set() if hints.background is None else {hints.background})
        if lost := [self.own[label] for label in sorted(needed) if label not in self.run_label]:
            raise InputError(
                f"{where}: its hints need the class {lost[0]!r}, which the run never learned (it knows "
                f"{', '.join(self.learned)}); train a run on data that have it."
            )
        verified_classes = hints.verified_classes
        if verified_classes is not None:
            verified_classes = frozenset(self.run_label[label] for label in verified_classes if label in self.run_label)
        return replace(
            hints,
            by_type={name: tuple(self._run_hint(hint) for hint in found) for name, found in hints.by_type.items()},
            background=None if hints.background is None else self.run_label[hints.background],
            verified_classes=verified_classes,
            outside=frozenset(self.run_label[label] for label in hints.outside if label in self.run_label),
        )

    def _run_hint(self, hint: Any) -> Hint:
        if hasattr(hint, "label"):
            return replace(hint, label=self.run_label[hint.label])
        table = np.arange(256, dtype=np.uint8)
        for own, label in self.run_label.items():
            table[own] = label
        return replace(hint, labels=table[hint.labels])


def match_classes(
    own: Sequence[str], learned: Sequence[str], *, own_background: int | None = None,
    learned_background: int | None = None, where: str = "the data set",
) -> ClassMap:  # fmt: skip
    """Match the classes of a data set and of a run.

    By name; what is left by a name that differs only in case or Unicode form, and the two backgrounds by their role. A
    list without names ("class 0", "class 1", …, as hints without dataset.json have it) is matched by number.

    Raises:
        InputError: classes are left over on both sides, so that one may be another name of the other.
    """
    own, learned = tuple(own), tuple(learned)
    if own != learned and len(set(learned)) < len(learned):
        raise InputError(f"{where}: the run has two classes of one name ({', '.join(learned)}); train a new run.")
    found, notes = same_names(own, learned), []
    if is_unnamed(own) != is_unnamed(learned):
        found = {label: label for label in range(min(len(own), len(learned)))}
        unnamed = "the run" if is_unnamed(learned) else where
        notes.append(f"{unnamed} has no class names; classes are matched by number.")
    ends = own_background, learned_background
    if None not in ends and ends[0] not in found and ends[1] not in found.values():
        found[ends[0]] = ends[1]  # type: ignore[index, assignment]
    pairs = [(own[here], learned[there]) for here, there in found.items() if own[here] != learned[there]]
    if pairs and not notes:
        notes += [f"the class {here!r} of {where} is taken for {there!r} of the run." for here, there in pairs]
    matched = ClassMap(own, learned, found, tuple(notes))
    if not found or (matched.unlearned and matched.unknown):
        raise InputError(
            f"{where}: has the classes {', '.join(own)}, but the run learned {', '.join(learned)}; give one class one "
            "name in both (dataset.json), or train a run on these classes."
        )
    return matched


def same_names(own: Sequence[str], learned: Iterable[str]) -> dict[int, int]:
    """Positions in `own` → positions in `learned` of the same name; case is ignored where no exact one is there."""
    learned = tuple(learned)
    found = {here: learned.index(name) for here, name in enumerate(own) if name in learned}
    for here, name in enumerate(own):
        if here not in found:
            likely = [there for there, other in enumerate(learned) if _folded(other) == _folded(name)]
            alone = sum(_folded(other) == _folded(name) for other in own) == 1
            if alone and len(likely) == 1 and likely[0] not in found.values():
                found[here] = likely[0]
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
