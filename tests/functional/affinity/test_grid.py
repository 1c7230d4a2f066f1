"""Grid neighbors against the double loop of their definition."""

import math

import pytest
import torch

from hintseg.functional.affinity.grid import GridNeighbors


def slow_matrix(image):
    _, height, width = image.shape
    places = [(row, column) for row in range(height) for column in range(width)]

    def distance(one, other):
        return math.hypot(one[0] - other[0], one[1] - other[1])

    def linked(one, other):
        return 0 < distance(one, other) < 1.5

    def contrast(one, other):
        return float((image[:, one[0], one[1]] - image[:, other[0], other[1]]).square().sum())

    pairs = [contrast(one, other) for one in places for other in places if linked(one, other)]
    sigma = math.sqrt(sum(pairs) / len(pairs))
    matrix = torch.zeros(len(places), len(places), dtype=torch.float64)
    for p, one in enumerate(places):
        for q, other in enumerate(places):
            if linked(one, other):
                matrix[p, q] = math.exp(-contrast(one, other) / (2 * sigma**2)) / distance(one, other)
    return matrix


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (4, 1)])
def test_grid_neighbors_by_definition(size):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    values = torch.randn(2, 2, size[0] * size[1], generator=generator, dtype=torch.float64)
    grid = GridNeighbors(images)
    for number, image in enumerate(images):
        matrix = slow_matrix(image)
        torch.testing.assert_close(grid.apply(values)[number], values[number] @ matrix)
        torch.testing.assert_close(grid.degree()[number], matrix.sum(dim=1))


def test_flat_images():
    degree = GridNeighbors(torch.zeros(1, 3, 2, 2)).degree()
    torch.testing.assert_close(degree, torch.full((1, 4), 2 + 1 / math.sqrt(2)))
