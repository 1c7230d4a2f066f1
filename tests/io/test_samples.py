"""Samples of any depth, and pixels without data."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from hintseg.errors import InputError
from hintseg.io.images import decode_image, read_image, write_labels
from hintseg.io.samples import BandSelection, Samples, as_sample, robust_limits, shown

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))
HOLE = np.zeros((48, 64), bool)
HOLE[:10] = True


def write(path, values, nodata=None, **options):
    tags = [] if nodata is None else [(42113, "s", 0, nodata, True)]
    tifffile.imwrite(path, values, extratags=tags, **options)
    return path


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("int8", -100, 100), ("uint16", 0, 200), ("uint16", 30000, 31000), ("int16", -3000, -100), ("uint32", 0, 4e9),
        ("int32", -70000, 70000), ("int64", -(2.0**40), 2.0**40), ("uint64", 0, 2.0**60), ("float16", 0, 0.98),
        ("float32", -25, -3), ("float32", 0, 40), ("float64", 1e9, 1e9 + 1), ("float64", -1.7e308, 1.7e308),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["<", ">"])
def test_any_depth_keeps_its_contrast(tmp_path, kind, low, high, order):
    values = ((1 - RAMP) * low + RAMP * high).astype(kind)
    got = read_image(write(tmp_path / "a.tif", values, byteorder=order))[..., 0]
    assert (got[:, 0].max(), got[:, -1].min()) == (0, 255)
    assert len(np.unique(got)) >= 40
    assert (np.diff(got[0].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("values", "nodata"),
    [
        (np.where(HOLE, 3.4e38, RAMP * 1000).astype(np.float32), "3.4e+38"),
        (np.where(HOLE, -3.4028234663852886e38, RAMP).astype(np.float32), "-3.4028234663852886e+38"),
        (np.where(HOLE, -9999, RAMP * 50).astype(np.int16), "-9999"),
        (np.where(HOLE, 0, RAMP * 900 + 50).astype(np.uint16), "0"),
        (np.where(HOLE, 255, RAMP * 200).astype(np.uint8), "255"),
        (np.where(HOLE, np.nan, RAMP).astype(np.float32), None),
        (np.where(HOLE, np.inf, RAMP).astype(np.float32), "nan"),
        (np.where(HOLE[..., None], 0, np.stack([RAMP * 200 + 1] * 3, axis=-1)).astype(np.uint8), "0"),
        (np.where(HOLE[..., None], 7, np.stack([RAMP * 2000 + 8] * 3, axis=-1)).astype(np.uint16), "7"),
    ],
)
def test_what_holds_no_data_is_known_and_does_not_stretch(tmp_path, values, nodata):
    more = {"photometric": "rgb"} if values.ndim == 3 else {}
    decoded = decode_image(write(tmp_path / "a.tif", values, nodata, **more))
    assert decoded.valid is not None
    assert (decoded.valid == ~HOLE).all()
    inside = decoded.pixels[~HOLE]
    assert int(inside.max()) - int(inside.min()) >= 150


def test_a_dark_band_is_not_yet_no_data(tmp_path):
    values = np.full((8, 9, 3), 50, np.uint8)
    values[0, 0] = 0
    values[1, 1, 0] = 0
    decoded = decode_image(write(tmp_path / "a.tif", values, "0", photometric="rgb"))
    assert (~decoded.valid).sum() == 1
    floats = np.ones((8, 9, 3), np.float32)
    floats[2, 2, 1] = np.nan
    assert not decode_image(write(tmp_path / "b.tif", floats, photometric="rgb")).valid[2, 2]


def test_alpha_and_masks_say_where_nothing_is(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)[..., None]
    see_through = np.concatenate([colors, alpha], axis=2)
    Image.fromarray(see_through).save(tmp_path / "a.png")
    Image.fromarray(see_through).save(tmp_path / "a.tif")
    deep = see_through.astype(np.uint16) * 257
    write(tmp_path / "b.tif", deep, photometric="rgb", extrasamples=["unassalpha"])
    write(tmp_path / "gray.tif", deep[..., [0, 3]], photometric="minisblack", extrasamples=["unassalpha"])
    with tifffile.TiffWriter(tmp_path / "masked.tif") as file:
        file.write(colors, photometric="rgb")
        file.write(alpha[..., 0] > 0, subfiletype=4, photometric="minisblack")
    for name in ("a.png", "a.tif", "b.tif", "gray.tif", "masked.tif"):
        decoded = decode_image(tmp_path / name)
        assert (decoded.valid == ~HOLE).all(), name
    gray = read_image(tmp_path / "gray.tif")
    assert (gray[..., 0] == gray[..., 2]).all(), "alpha is no color"


def test_one_bright_pixel_changes_nothing():
    values = (RAMP * 1000).astype(np.float32)[..., None]
    before = shown(Samples(values, 1), BandSelection()).pixels
    values[3, 3] = 1e6
    after = shown(Samples(values, 1), BandSelection()).pixels
    assert np.abs(before.astype(int) - after).max(initial=0, where=np.arange(64)[None, :, None] > 5) <= 1


def test_the_table_and_the_formula_agree():
    values = np.arange(-(2**15), 2**15, 7).astype(np.int16).reshape(-1, 1, 1)
    for view in (
        BandSelection(),
        BandSelection(limits=(-1000.5, 20000)),
        BandSelection(stretch=(-5, 5)),
        BandSelection(stretch="largest"),
    ):
        by_table = shown(Samples(values, 1), view).pixels
        wide = BandSelection(limits=view.limits, stretch=view.stretch)
        assert (by_table == shown(Samples(values.astype(np.int32), 1), wide).pixels).all()


def test_constant_and_empty_images_have_limits():
    assert robust_limits(np.zeros(0)) == (0, 1)
    assert robust_limits(np.full(9, 3.0)) == (3, 3)
    assert robust_limits(np.array([0.0] * 999 + [5.0])) == (0, 5)
    assert shown(Samples(np.full((2, 2, 1), 7, np.uint16), 1), BandSelection()).pixels.max() == 0
    assert shown(Samples(np.full((2, 2, 1), np.nan), 1), BandSelection()).valid.sum() == 0


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("-9999", "int16", -9999), ("-9999", "uint16", None), ("0.5", "uint8", None), ("nan", "float32", None),
        ("3.4e+38", "float32", float(np.float32(3.4e38))), ("", "uint8", None), ("none", "float32", None),
        ("18446744073709551615", "uint64", 2**64 - 1), ("1e400", "float64", None), (None, "uint8", None),
    ],
)  # fmt: skip
def test_no_data_values_are_those_of_the_samples(text, kind, value):
    assert as_sample(text, np.dtype(kind)) == value


def test_complex_samples_are_refused(tmp_path):
    write(tmp_path / "a.tif", np.ones((4, 4), np.complex64))
    with pytest.raises(InputError, match="no real numbers"):
        read_image(tmp_path / "a.tif")


def test_runs_of_before_keep_their_rule():
    rule = BandSelection(stretch="largest")
    for values, expected in (
        (np.array([0, 10, 255], np.uint16), [0, 10, 255]),
        (np.array([0, 2000, 4000], np.uint16), [0, 128, 255]),
        (np.array([0, 257, 65535], np.uint16), [0, 1, 255]),
        (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255]),
    ):
        assert shown(Samples(values[None, :, None], 1), rule).pixels[0, :, 0].tolist() == expected


def test_a_run_shows_new_images_as_those_of_its_data_set(tmp_path, tiny):
    """Two dark images and a bright one; a new image is shown between the limits of all three."""
    from hintseg import Segmenter, train
    from hintseg.apps.report.run_report import training_figures
    from hintseg.config.schema import DataConfig
    from hintseg.hints.dataset import Dataset
    from hintseg.hints.labels import IGNORE_INDEX
    from hintseg.inference.evaluation import evaluate_split
    from hintseg.training.data import TrainingImages

    (tmp_path / "data" / "images").mkdir(parents=True)
    for number, top in enumerate((1000, 1000, 9000)):
        values = (RAMP * top).astype(np.uint16)
        values[HOLE] = 65535
        write(tmp_path / "data" / "images" / f"{number}.tif", values, "65535")
    points = {str(number): [[5, 40, 0], [60, 40, 1], [30, 2, 1]] for number in range(3)}
    (tmp_path / "data" / "points.json").write_text(json.dumps(points))
    (tmp_path / "data" / "dataset.json").write_text('{"classes": ["dark", "bright"]}')
    dataset = Dataset.open(tmp_path / "data")
    low, high = dataset.shown.stretch
    assert low < 10
    assert 8000 < high <= 9000
    assert dataset.image("0").max() < 40
    train(dataset, "points", tmp_path / "run", weights="none", device="cpu", iterations=1, settings=tiny)
    segmenter = Segmenter.open(tmp_path / "run", "cpu")
    assert segmenter.description.view.stretch == (low, high)
    new = write(tmp_path / "new.tif", np.where(HOLE, 65535, RAMP * 2000).astype(np.uint16), "65535")
    decoded = segmenter.decode_image(new)
    assert 50 < decoded.pixels.max() < 70
    mask = segmenter.predict_decoded(decoded)
    assert (mask[HOLE] == 255).all()
    assert (mask[~HOLE] < 2).all()
    assert (segmenter.complete(dataset, "0")[HOLE] == 255).all(), "a hint there is no label"
    assert (segmenter.decoded(dataset, "0").pixels == dataset.image("0")).all()
    _, target = TrainingImages(dataset, dataset.keys(None), ("points",), DataConfig(), tmp_path / "cache").target("0")
    assert (target.labels[HOLE] == IGNORE_INDEX).all(), "training ignores it"
    assert (target.labels[~HOLE] != IGNORE_INDEX).all()
    for key in dataset.keys(None):
        write_labels(tmp_path / "data" / "masks" / f"{key}.png", np.zeros(HOLE.shape, np.uint8))
    matrix, _ = evaluate_split(segmenter, Dataset.open(tmp_path / "data"), "train")
    assert matrix.counts.sum() == 3 * (~HOLE).sum(), "so does evaluation"
    (tmp_path / "data" / "images" / "2.tif").unlink()
    left = Dataset.open(tmp_path / "data")
    assert left.image("0").max() > 200
    (shown_in_report, _), *_ = training_figures(segmenter, left, "0")
    assert shown_in_report.max() < 40, "the report shows what the network sees"
