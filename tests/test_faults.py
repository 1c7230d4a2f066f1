"""A disk that fills up, at every place where something is written."""

import os
import subprocess
import sys

import numpy as np
import pytest

from hintseg import Segmenter, train
from hintseg.api import choose_recipe
from hintseg.apps.compare import compare
from hintseg.errors import RunError


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of so many KiB; skips where that is not allowed."""
    mounted = []

    def mount(kib):
        place = tmp_path / f"disk-{kib}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
        if sys.platform != "linux" or os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no disk can be mounted here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kib", [8, 200, 900, 2400])
def test_a_full_disk_is_one_sentence_and_loses_nothing(small_disk, scenes, tiny, tmp_path, kib):
    place = small_disk(kib)
    recipe = choose_recipe(weights="none", iterations=8, settings=tiny)
    settings = {"recipe": recipe, "weights": "none", "device": "cpu"}
    with pytest.raises(RunError, match=r"(writing failed|cannot be written).*(space|free some)"):
        train(scenes, "scribbles", place / "run", **settings)
    assert not list(place.rglob(".partial-*"))
    # With room it goes on to where an uninterrupted run arrives.
    subprocess.run(["mount", "-o", "remount,size=100m", str(place)], check=True)
    resumed = train(scenes, "scribbles", place / "run", resume=True, **settings)
    whole = train(scenes, "scribbles", tmp_path / "whole", **settings)
    image = scenes.image("scene 4 ä")
    assert np.array_equal(resumed.predict(image), whole.predict(image))
    assert np.array_equal(Segmenter.open(place / "run", "cpu").predict(image), whole.predict(image))


@pytest.mark.parametrize("kib", [8, 200, 900, 1400, 2400, 3000])
def test_a_comparison_on_a_full_disk_is_one_sentence(small_disk, scenes, tiny, kib):
    place = small_disk(kib)

    def fill():
        for number in range(3):  # each writes, until the disk is full
            compare(
                scenes, ["partial_cross_entropy", "spml"], "scribbles", place / f"compare{number}", weights="none",
                iterations=4, settings=tiny, device="cpu", completed=False,
            )  # fmt: skip

    with pytest.raises(RunError, match=r"(writing failed|cannot be written).*(space|free some)"):
        fill()
