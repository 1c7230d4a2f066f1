"""Words and their agreement against plain loops."""

import math

import numpy as np
import pytest

from hintseg.targets.activation import expected_shares
from hintseg.targets.words import OTHERS, PRIOR, TaggedCells, explained, foreign, learn_vocabulary, word_table


def plain_table(images, words, num_classes, power, expected, rounds):
    shares = [
        {(place, label): float(claim) for label, claims in zip(cells.classes, cells.claims, strict=True)
         for place, claim in enumerate(claims.ravel())} for cells in images
    ]  # fmt: skip
    seen = [int(word) for cells in images for word in cells.words.ravel()]
    occur = [(seen.count(word) + 1e-3) / (len(seen) + 1e-3 * words) for word in range(words)]
    for turn in range(rounds + 1):
        table = {(label, word): PRIOR * occur[word] for label in range(num_classes) for word in range(words)}
        for cells, share in zip(images, shares, strict=True):
            for (place, label), own in share.items():
                table[label, int(cells.words.ravel()[place])] += own
        for label in range(num_classes):
            total = sum(table[label, word] for word in range(words))
            for word in range(words):
                table[label, word] /= total
        if turn < rounds:
            shares = [plain_shares(*both, table, power) for both in zip(images, expected, strict=True)]
    return table


def plain_shares(cells, expected, table, power):
    places = range(cells.words.size)
    product = {
        (place, int(label)): float(claims.ravel()[place]) * table[label, int(cells.words.ravel()[place])] ** power
        for label, claims in zip(cells.classes, cells.claims, strict=True)
        for place in places
    }

    def normalise():
        for place in places:
            total = sum(product[place, label] for label in cells.classes)
            for label in cells.classes:
                product[place, label] /= total

    normalise()
    if expected is not None:
        for label, total in zip(cells.classes, expected, strict=True):
            mean = sum(product[place, label] for place in places) / len(places)
            for place in places:
                product[place, label] *= total / mean
        normalise()
    return product


def random_images(count=5, words=6):
    generator = np.random.default_rng(0)
    images = []
    for _ in range(count):
        classes = generator.choice(4, generator.integers(1, 4), replace=False)
        claims = generator.dirichlet(np.ones(len(classes)), (3, 5)).transpose(2, 0, 1)
        images.append(TaggedCells(classes, claims, generator.integers(0, words, (3, 5))))
    return images


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.6), (0.7, None)])
def test_table_and_shares_by_loop(power, share):
    images = random_images()
    totals = None if share is None else [expected_shares(cells.classes, 2, share) for cells in images]
    table = word_table(images, 6, 4, power=power, expected=totals, rounds=3)
    totals = totals or [None] * len(images)
    expected = plain_table(images, 6, 4, power, totals, 3)
    for (label, word), value in expected.items():
        assert table[label, word] == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    for cells, total in zip(images, totals, strict=True):
        shares = explained(cells, table, power=power, expected=total)
        assert shares.shape == cells.claims.shape
        np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-6)
        for (place, label), value in plain_shares(cells, total, expected, power).items():
            number = list(cells.classes).index(label)
            assert shares[number].ravel()[place] == pytest.approx(value, rel=1e-4, abs=1e-7)


def test_what_other_images_have_without_a_class_is_not_that_class():
    """Cars always stand on roads, and the classifier takes the road for them; other roads are empty."""
    road, car = 0, 1
    words = np.repeat([0, 1], 8).reshape(2, 8)  # road below a car
    towards_car = np.stack([np.full((2, 8), 0.4), np.full((2, 8), 0.6)])
    towards_car[:, 0] = [[0.3] * 8, [0.7] * 8]  # the road is claimed most
    with_car = TaggedCells(np.array([road, car]), towards_car, words)
    empty = TaggedCells(np.array([road]), np.ones((1, 2, 8)), np.zeros((2, 8), int))

    def after(images):
        alike = [np.full(len(cells.classes), 1 / len(cells.classes)) for cells in images]
        return explained(with_car, word_table(images, 2, 2, expected=alike), expected=np.full(2, 0.5))

    assert after([with_car] * 500)[car, 0].min() > 0.5
    together = after([with_car] * 500 + [empty] * 1000)
    assert together[road, 0].min() > 0.65
    assert together[car, 1].min() > 0.65
    few = after([with_car] * 5 + [empty] * 10)  # too few images to learn from
    np.testing.assert_allclose(few, after([]), atol=0.1)


def test_words_are_kinds_of_features():
    generator = np.random.default_rng(0)
    kinds = np.eye(3, 8, dtype=np.float32)
    which = generator.integers(0, 3, 300)
    features = (kinds[which] + 0.05 * generator.standard_normal((300, 8))).astype(np.float32)
    vocabulary = learn_vocabulary(features, 3, dimensions=4)
    assert vocabulary.projection.shape == (8, 4)
    words = vocabulary.words(features)
    for kind in range(3):
        assert len(set(words[which == kind])) == 1
    assert len(set(words)) == 3
    again = learn_vocabulary(features, 3, dimensions=4)
    assert all(np.array_equal(one, two) for one, two in zip(vocabulary, again, strict=True))
    values = np.linalg.eigvalsh(np.cov(features, rowvar=False, bias=True))
    projected = (features - vocabulary.mean) @ vocabulary.projection
    assert projected.std(axis=0)[0] == pytest.approx(math.sqrt(math.sqrt(values[-1])), rel=1e-3)  # half whitened


def test_few_cells_have_few_words():
    features = np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)
    vocabulary = learn_vocabulary(features, 100, dimensions=64)
    assert vocabulary.centres.shape == (2, 2)
    assert set(vocabulary.words(features)) <= {0, 1}


def test_foreign_cells_by_loop():
    images = random_images(count=30, words=4)
    images[7].words[1, :] = 4  # nobody else has it
    found = foreign(images, 5, 4, 0.4)
    shares = []
    for number, cells in enumerate(images):
        others = images[:number] + images[number + 1 :]
        assert all(sum(label in other.classes for other in others) >= OTHERS for label in cells.classes)
        for place, word in enumerate(cells.words.ravel()):
            mine = total = 0.0
            for other in others:
                for label, claims in zip(other.classes, other.claims, strict=True):
                    here = claims.ravel()[other.words.ravel() == word].sum()
                    total += here
                    mine += here * (label in cells.classes)
            shares.append(mine / total if total else 1)
            assert found[number].ravel()[place] == (mine < 0.4 * total)
    assert min(shares) < 0.4 < max(shares)


def test_what_few_images_show_is_not_foreign():
    def image(label, *words):
        return TaggedCells(np.array([label]), np.ones((1, 1, len(words))), np.array([words]))

    many = [image(0, 0, 1)] * (OTHERS + 1)
    rare = foreign([*many, *[image(1, 0, 2)] * OTHERS], 3, 2, 0.05)
    known = foreign([*many, *[image(1, 0, 2)] * OTHERS, image(1, 1, 2)], 3, 2, 0.05)
    assert not np.any(rare)
    assert known[-1].tolist() == [[True, False]], "others have the first word for the other class alone"
    assert not np.any(known[:-1])
