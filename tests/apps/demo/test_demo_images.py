"""The demonstration's data set."""

from hintseg.apps.demo.images import TRAINING, write_demo
from hintseg.hints.dataset import Dataset


def test_what_was_drawn_on_the_demonstration_stays(tmp_path):
    write_demo(tmp_path)
    assert Dataset.open(tmp_path).keys("train") == tuple(TRAINING)
    drawn = '{"cat": [["cat", [[5, 5], [9, 9]]]]}'
    (tmp_path / "scribbles.json").write_text(drawn)
    (tmp_path / "train.txt").unlink()
    write_demo(tmp_path)
    assert (tmp_path / "scribbles.json").read_text() == drawn
    assert Dataset.open(tmp_path).keys("train") == tuple(TRAINING)
