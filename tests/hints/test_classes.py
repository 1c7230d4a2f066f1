"""Classes of a run and of a data set are matched by name, or refused with both lists."""

import numpy as np
import pytest

from hintseg.errors import InputError
from hintseg.hints.classes import match_classes, same_names
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.masks import Mask
from hintseg.hints.types.points import Point
from hintseg.hints.types.scribbles import Scribble, ScribbleMap
from hintseg.hints.types.tags import Tag

UNNAMED = ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("own", "learned", "expected", "note"),
    [
        ("a b c", "a b c", {0: 0, 1: 1, 2: 2}, None),
        ("c a b", "a b c", {0: 2, 1: 0, 2: 1}, None),
        ("b a", "a b c", {0: 1, 1: 0}, None),
        ("b a new", "a b", {0: 1, 1: 0}, None),
        ("A b", "b a", {0: 1, 1: 0}, "'A' of D is taken for 'a'"),
        ("a A", "A a", {0: 1, 1: 0}, None),
        ("e\u0301te a", "a \u00e9te", {0: 1, 1: 0}, "is taken for"),
        (UNNAMED, "a b c", {0: 0, 1: 1, 2: 2}, "D has no class names; classes are matched by number"),
        (UNNAMED[:2], "a b c", {0: 0, 1: 1}, "matched by number"),
        ("a b c", UNNAMED[:2], {0: 0, 1: 1}, "the run has no class names"),
        (UNNAMED, UNNAMED[:2], {0: 0, 1: 1}, None),
    ],
)
def test_classes_are_matched(own, learned, expected, note):
    own, learned = (tuple(names.split(" ")) if isinstance(names, str) else names for names in (own, learned))
    found = match_classes(own, learned, where="D")
    assert found.run_label == expected
    assert len(found.notes) == (note is not None)
    assert note is None or note in found.notes[0]
    labels = np.array([*range(len(learned)), 254, 255], np.uint8)
    back = found.own_labels(labels)
    assert back[-2:].tolist() == [254, 255]
    assert all(back[there] == here for here, there in expected.items())
    assert (back[[label for label in range(len(learned)) if label not in expected.values()]] == 255).all()


@pytest.mark.parametrize(
    ("own", "learned"),
    [("a b", "a c"), ("x y", "a b"), ("A a", "a b"), ("Aa aA", "aa b"), ("a b", "a a"), ("a b c", "a b b")],
)
def test_what_is_not_sure_is_refused_with_both_lists(own, learned):
    own, learned = own.split(), learned.split()
    with pytest.raises(InputError) as caught:
        match_classes(own, learned, where="D")
    assert ", ".join(learned) in str(caught.value)
    assert len(set(learned)) < len(learned) or ", ".join(own) in str(caught.value)


def test_backgrounds_are_matched_by_their_role():
    found = match_classes(["dog", "rest"], ["background", "dog"], own_background=1, learned_background=0, where="D")
    assert found.run_label == {0: 1, 1: 0}
    assert "'rest' of D is taken for 'background'" in found.notes[0]
    with pytest.raises(InputError):
        match_classes(["dog", "rest"], ["background", "dog"], learned_background=0)


def test_swapped_names_are_matched_by_name():
    assert same_names("ab", "ba") == {0: 1, 1: 0}


def test_every_hint_is_renumbered_or_refused():
    found = match_classes(["new", "b", "a"], ["a", "b"])
    labels = np.array([[1, 2, 254, 255]], np.uint8)
    hints = ImageHints(
        {
            "tags": (Tag(1),), "boxes": (Box(0, 0, 1, 1, 2),), "points": (Point(0, 0, 1),),
            "scribbles": (Scribble(((0, 0),), 2), ScribbleMap(labels)), "masks": (Mask(labels),),
        },
        background=2, verified_classes=frozenset({0, 1}),
    )  # fmt: skip
    there = found.run_hints(hints, "D, image x")
    assert [one.label for one in (*there.tags, *there.boxes, *there.points, *there.scribbles)] == [1, 0, 1, 0]
    assert there.scribble_map.labels.tolist() == there.mask.labels.tolist() == [[1, 0, 254, 255]]
    assert (there.background, there.verified_classes) == (0, frozenset({1}))
    for unlearned in ({"tags": (Tag(0),)}, {"masks": (Mask(np.zeros((1, 1), np.uint8)),)}):
        with pytest.raises(
            InputError, match=r"D, image x: its hints need the class 'new', which the run never learned"
        ):
            found.run_hints(ImageHints(unlearned), "D, image x")
