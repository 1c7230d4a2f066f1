"""Prediction on a real local Ray cluster, with workers killed in the middle."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.conftest import draw_scene

from hintseg import train
from hintseg.api import choose_recipe
from hintseg.apps.batch_inference import cluster
from hintseg.apps.batch_inference.input_images import InputImage, find_images
from hintseg.apps.batch_inference.local import maker_of, pending, predict_here
from hintseg.apps.batch_inference.output import Output
from hintseg.errors import RunError
from hintseg.io.images import read_labels, write_image

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's own
]


class Watched(cluster.Worker):
    """Writes down what it computes, and dies twice: at the photographs named in DEADLY, once each."""

    deadly: Path
    diary: Path

    def __init__(self, *arguments):
        super().__init__(*arguments)
        usual = self.compute

        def compute(path):
            mortal = self.deadly / path.stem
            if mortal.exists():
                mortal.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            with self.diary.open("a") as file:
                file.write(f"{path.stem}\n")
            return usual(path)

        self.compute = compute


@pytest.fixture(scope="module")
def local_cluster():
    import sys

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture
def segmenter(scenes, tiny, tmp_path):
    recipe = choose_recipe(weights="none", iterations=2, settings=tiny)
    return train(scenes, "scribbles", tmp_path / "run", recipe=recipe, weights="none", device="cpu")


@pytest.fixture
def photographs(tmp_path):
    for index in range(40):
        write_image(tmp_path / "photos" / f"{index:02}.png", draw_scene(index)[0])
    return find_images([tmp_path / "photos"])


@pytest.mark.parametrize("kind", ["png", "parquet"])
def test_killed_workers_cost_no_mask(local_cluster, segmenter, photographs, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(cluster, "BATCH", 5)
    monkeypatch.setattr(cluster, "SHARD", 5)
    config = segmenter.recipe.inference
    here = Output(str(tmp_path / "here"))
    assert all(wrong is None for _, wrong in predict_here(segmenter, photographs, here, config))

    Watched.deadly, Watched.diary = tmp_path / "deadly", tmp_path / "diary"
    Watched.deadly.mkdir()
    for name in ("03", "27"):
        (Watched.deadly / name).touch()
    # Relative to a folder in which no worker is.
    monkeypatch.chdir(tmp_path)
    output, photographs = Output("there", kind), find_images(["photos"])
    wanted = pending(photographs, output, maker_of(segmenter, config))
    broken = InputImage(str(tmp_path / "photos" / "none.png"), "none")
    results = dict(cluster.predict_on_ray(segmenter.run, [*wanted, broken], output, config, workers=2, worker=Watched))
    assert not list(Watched.deadly.iterdir())
    assert "none.png: no such file" in results.pop(broken)
    assert set(results) == set(photographs)
    assert set(results.values()) == {None}

    computed = [name for name in Watched.diary.read_text().split() if name != broken.name]
    assert set(computed) == {photograph.name for photograph in photographs}
    if kind == "png":
        assert len(computed) == len(photographs)  # what a dead worker had written is not computed again
        found = {path.stem: read_labels(path) for path in (tmp_path / "there").glob("*.png")}
    else:
        assert len(computed) <= len(photographs) + 2 * 4  # the rest of two shards of five
        found = read_shards(tmp_path / "there", tmp_path)
    assert set(found) == set(computed)
    for name, mask in found.items():
        assert np.array_equal(mask, read_labels(tmp_path / "here" / f"{name}.png"))
    assert pending(photographs, output, maker_of(segmenter, config), resume=True) == []
    with pytest.raises(RunError, match="is there already; add --overwrite"):
        pending(photographs, output, maker_of(segmenter, config))


def read_shards(folder, scratch):
    import pyarrow.parquet

    found = {}
    for shard in folder.glob("*.parquet"):
        for row in pyarrow.parquet.read_table(shard).to_pylist():
            if row["error"] is None:
                assert row["name"] not in found
                (scratch / "mask.png").write_bytes(row["mask"])
                found[row["name"]] = read_labels(scratch / "mask.png")
    return found


def test_what_workers_warn_of_reaches_the_user(local_cluster, segmenter, tmp_path, caplog):
    described = json.loads((segmenter.run / "run.json").read_text("utf-8"))
    (segmenter.run / "run.json").write_text(json.dumps(described | {"stretch": [0, 3000]}), "utf-8")
    (tmp_path / "photos").mkdir()
    for index in range(2):
        tifffile.imwrite(tmp_path / f"photos/{index}.tif", np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1)))
    output, config = Output(str(tmp_path / "masks")), segmenter.recipe.inference
    results = cluster.predict_on_ray(segmenter.run, find_images([tmp_path / "photos"]), output, config, workers=1)
    assert [wrong for _, wrong in results] == [None, None]
    assert caplog.text.count("almost no contrast after the stretch of the run") == 1


def test_an_output_that_cannot_be_written_ends_the_work(local_cluster, segmenter, photographs, tmp_path):
    (tmp_path / "file").write_text("in the way")
    output = Output(str(tmp_path / "file"))
    with pytest.raises(RunError, match="cannot be written"):
        list(cluster.predict_on_ray(segmenter.run, photographs[:2], output, segmenter.recipe.inference, workers=1))
