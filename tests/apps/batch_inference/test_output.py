"""Photographs by address, masks as files and shards, and going on with what an interrupted call wrote."""

from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hintseg.apps.batch_inference.input_images import InputImage, find_images
from hintseg.apps.batch_inference.output import Output, Prediction
from hintseg.errors import ConfigError, InputError, RunError
from hintseg.io.images import read_labels, write_image
from hintseg.io.storage.outputs import claim_folder, is_made_here


@pytest.fixture
def photographs(tmp_path):
    for name in ("a.png", "deep/b.png"):
        write_image(tmp_path / "photos" / name, np.full((4, 5, 3), len(name), dtype=np.uint8))
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return find_images([tmp_path / "photos"])


def compute(path: Path) -> Prediction:
    from hintseg.io.images import read_image

    return Prediction(read_image(path)[:, :, 0])


def test_photographs_keep_their_sub_folders(photographs, tmp_path):
    root = tmp_path / "photos"
    assert photographs == [(str(root / "a.png"), "a"), (str(root / "deep" / "b.png"), "deep/b")]
    assert find_images([f"{root}/**/*.png"]) == [(str(root / "a.png"), "a"), (str(root / "deep" / "b.png"), "b")]
    assert find_images([root / "a.png", root]) == photographs


def test_remote_photographs(tmp_path):
    for name in ("a.jpg", "deep/b.JPG", "notes.txt"):
        fsspec.filesystem("memory").pipe(f"/photos/{name}", b"x")
    assert find_images(["memory://photos"]) == [
        ("memory://photos/a.jpg", "a"),
        ("memory://photos/deep/b.JPG", "deep/b"),
    ]
    assert find_images(["memory://photos/a.jpg"]) == [("memory://photos/a.jpg", "a")]


def test_two_photographs_of_one_name_are_refused(photographs, tmp_path):
    write_image(tmp_path / "other" / "a.png", np.zeros((4, 5, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"would both write a\.png"):
        find_images([tmp_path / "photos", tmp_path / "other"])
    with pytest.raises(InputError, match="no image found"):
        find_images([tmp_path / "nothing"])


@pytest.mark.parametrize("place", ["local", "memory"])
def test_masks_as_files(photographs, tmp_path, place):
    folder = str(tmp_path / "masks") if place == "local" else "memory://masks"
    output = Output(folder)
    assert output.claim("one", photographs) == frozenset()
    broken = InputImage(str(tmp_path / "photos" / "gone.png"), "gone")
    wrong = output.write_all([*photographs, broken], compute, keep=False)
    assert wrong[:2] == [None, None]
    assert "gone.png: no such file" in wrong[2]
    assert output.claim("one", photographs, resume=True) == {"a", "deep/b"}
    if place == "local":
        assert read_labels(tmp_path / "masks" / "deep" / "b.png").tolist() == [[10] * 5] * 4


@pytest.mark.parametrize("kind", ["png", "parquet"])
def test_what_is_there_is_kept_when_a_batch_is_tried_again(photographs, tmp_path, kind):
    output, computed = Output(str(tmp_path / "masks"), kind), []

    def counted(path):
        computed.append(path.name)
        return compute(path)

    for _ in range(2):
        assert output.write_all(photographs, counted, keep=True) == [None, None]
    assert computed == ["a.png", "b.png"]
    output.write_all(photographs, counted, keep=False)
    assert len(computed) == 4


def test_shards_hold_names_masks_and_errors(photographs, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    output = Output(str(tmp_path / "shards"), "parquet")
    output.claim("one", photographs)
    broken = InputImage(str(tmp_path / "photos" / "notes.txt"), "notes")
    wrong = output.write_all([*photographs, broken], compute, keep=False)
    assert wrong[2] is not None
    (shard,) = (tmp_path / "shards").glob("part-*.parquet")
    rows = parquet.read_table(shard).to_pylist()
    assert [row["name"] for row in rows] == ["a", "deep/b", "notes"]
    assert rows[0]["source"] == photographs[0].source
    assert rows[2]["mask"] is None
    assert rows[2]["error"] == wrong[2]
    (tmp_path / "mask.png").write_bytes(rows[1]["mask"])
    assert read_labels(tmp_path / "mask.png").tolist() == [[10] * 5] * 4
    # The broken one is tried again; kept batches say again what was wrong.
    assert output.claim("one", photographs, resume=True) == {"a", "deep/b"}
    assert output.write_all([*photographs, broken], compute, keep=True) == wrong


def test_only_the_own_masks_are_gone_on_with(photographs, tmp_path):
    output = Output(str(tmp_path / "masks"))
    output.claim("one", photographs, resume=True)
    output.write_all(photographs, compute, keep=False)
    with pytest.raises(RunError, match="of another run, other settings"):
        output.claim("two", photographs, resume=True)
    with pytest.raises(RunError, match="is there already; add --overwrite"):
        output.claim("two", photographs)
    assert output.claim("two", photographs, overwrite=True) == frozenset()
    (tmp_path / "masks" / ".made-by.json").write_text("[")
    with pytest.raises(RunError, match="of another run"):
        output.claim("two", photographs, resume=True)


def test_probabilities_go_with_the_masks_that_are_replaced(photographs, tmp_path):
    folder = tmp_path / "masks"
    soft = Output(str(folder), soft=True)
    images = [*photographs, InputImage(photographs[0].source, "edited")]
    soft.claim("one", images)
    for image in images:
        soft.write(image.name, Prediction(np.zeros((4, 5), np.uint8), np.ones((1, 4, 5), np.float32)))
    np.savez(folder / "edited.npz", mine=1)
    with pytest.raises(RunError, match="add --overwrite"):
        Output(str(folder)).claim("two", images)
    assert len(list(folder.rglob("*.npz"))) == 3
    Output(str(folder)).claim("two", images, overwrite=True)
    assert sorted(path.name for path in folder.rglob("*.npz")) == ["edited.npz"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["png", "geotiff"])
def test_masks_of_two_runs_are_not_mixed(photographs, tmp_path, overwrite, kind):
    """Neither where some are replaced nor where others are added, be it in another format."""
    output = Output(str(tmp_path / "masks"))
    output.claim("one", photographs)
    for photograph in photographs:
        output.write(photograph.name, compute(Path(photograph.source)))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    images = photographs[:1] if overwrite else [InputImage(photographs[0].source, "new")]
    for clear in (False, True):
        with pytest.raises(RunError, match="masks of another run"):
            Output(str(tmp_path / "masks"), kind).claim("two", images, overwrite=overwrite, clear=clear)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kind", ["png", "parquet"])
def test_masks_of_others_are_not_taken_for_ones_own(photographs, tmp_path, kind):
    output = Output(str(tmp_path / "masks"), kind)
    output.claim("one", photographs)
    for photograph in photographs:
        output.write_all([photograph], compute, keep=False)
    output.claim("two", photographs, overwrite=True)
    output.write_all(photographs[:1], compute, keep=False)  # and then it was interrupted
    for _ in range(2):
        assert output.claim("two", photographs, resume=True) == {"a"}
    output.write_all(photographs[1:], compute, keep=False)
    assert output.claim("two", photographs, resume=True) == {"a", "deep/b"}


def test_names_stay_in_the_folder(tmp_path):
    (wrong,) = Output(str(tmp_path)).write_all([InputImage("x", "../outside")], compute, keep=False)
    assert "outside" in wrong
    assert not (tmp_path.parent / "outside.png").exists()


def test_tables_beside_shards_are_the_users(photographs, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    output = Output(str(tmp_path / "shards"), "parquet")
    output.claim("one", photographs)
    (tmp_path / "shards").mkdir(exist_ok=True)
    mine = tmp_path / "shards" / "reviewed.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"name": ["a"], "error": ["bad"], "note": ["mine"]}), mine)
    before = mine.read_bytes()
    for resume, overwrite in ((True, False), (False, True)):
        output.claim("one", photographs, resume, overwrite)
        assert mine.read_bytes() == before


def test_soft_shards_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="leave out --soft"):
        Output(str(tmp_path), "parquet", soft=True).claim("one", [])


@pytest.mark.parametrize("part", [".", "images", "images/a", "masks", "scribbles", "contours"])
def test_masks_are_not_written_into_a_data_set(tmp_path, part):
    write_image(tmp_path / "images" / "a" / "x.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "dataset.json").write_text('{"classes": ["a"]}')
    with pytest.raises(RunError, match="data set"):
        Output(str(tmp_path / part)).claim("me", [])
    Output(str(tmp_path / "predicted")).claim("me", [])


def rewrite_with_pillow(path):
    with Image.open(path) as image:
        image.load()
    image.save(path)


def rewrite_with_its_texts(path, change):
    with Image.open(path) as image:
        told = PngInfo()
        for name, text in image.info.items():
            if isinstance(text, str):
                told.add_text(name, text)
        changed = Image.fromarray(np.asarray(image) + np.uint8(change))
        changed.putpalette(image.palette)
    changed.save(path, pnginfo=told)


def rewrite_with_gdal(path, change):
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(path, "r+") as target:
        target.write(target.read(1) + np.uint8(change), 1)


@pytest.mark.parametrize(
    ("name", "edit", "ours"),
    [
        ("a.png", rewrite_with_pillow, False),
        ("a.png", lambda path: cv2.imwrite(str(path), cv2.imread(str(path))), False),
        ("a.png", lambda path: rewrite_with_its_texts(path, 1), False),
        ("a.png", lambda path: rewrite_with_its_texts(path, 0), True),
        ("a.npz", lambda path: np.savez(path, **dict(np.load(path))), False),
        ("a.tif", lambda path: rewrite_with_gdal(path, 1), False),
        ("a.tif", lambda path: rewrite_with_gdal(path, 0), True),
        ("a.tif", lambda path: path.write_text("made by hintseg, pixels 00000000"), False),
    ],
)
def test_what_another_program_saved_is_no_longer_ours(tmp_path, name, edit, ours):
    """Also where that program kept what the file says made it, as those for maps and ImageMagick do."""
    rasterio = pytest.importorskip("rasterio")
    like = tmp_path / "photo.tif"
    shape = {"count": 1, "height": 40, "width": 50, "dtype": "uint8"}
    with rasterio.open(like, "w", driver="GTiff", crs="EPSG:32632", transform=(1, 0, 5, 0, -1, 9), **shape) as target:
        target.write(np.zeros((1, 40, 50), np.uint8))
    labels = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(np.uint8)
    for kind in ("png", "geotiff"):
        Output(str(tmp_path / "masks"), kind).write("a", Prediction(labels, np.zeros((2, 40, 50), np.float32)), like)
    path = tmp_path / "masks" / name
    assert is_made_here(str(path))
    edit(path)
    assert is_made_here(str(path)) == ours
    before = path.read_bytes()
    output = Output(str(tmp_path / "masks"), "geotiff" if name.endswith("tif") else "png", soft=name.endswith("npz"))
    if not ours:
        with pytest.raises(RunError, match="edited since"):
            output.claim("one", [InputImage(str(like), "a")], overwrite=True)
    assert path.read_bytes() == before


def test_a_photograph_that_could_not_be_read_is_tried_again_in_another_shard(photographs, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    output, late = Output(str(tmp_path / "shards"), "parquet"), InputImage(str(tmp_path / "photos" / "c.png"), "c")
    wanted = [*photographs, late]
    output.claim("one", wanted)
    output.write_all(wanted, compute, keep=False)
    write_image(Path(late.source), np.full((4, 5, 3), 3, np.uint8))
    kept = output.claim("one", wanted, resume=True)
    assert output.write_all([one for one in wanted if one.name not in kept], compute, keep=True) == [None]
    shards = list((tmp_path / "shards").glob("*.parquet"))
    rows = [row for shard in shards for row in parquet.read_table(shard).to_pylist()]
    assert len(shards) == 2
    assert sorted(row["name"] for row in rows if row["error"] is None) == ["a", "c", "deep/b"]
    assert [row["mask"] for row in rows if row["error"] is not None] == [None]


def test_masks_are_removed_before_a_cluster_writes_anew(photographs, tmp_path):
    """A worker that is started again could not tell older ones from those of the first."""
    output = Output(str(tmp_path / "masks"))
    output.claim("one", photographs)
    output.write_all(photographs, compute, keep=False)
    assert output.claim("one", photographs, overwrite=True, clear=True) == frozenset()
    assert not list((tmp_path / "masks").rglob("*.png"))


@pytest.mark.parametrize("damage", [lambda content: content[:50], lambda content: content[:-40] + b"\xff" * 40])
def test_a_damaged_shard_is_one_sentence(tmp_path, damage):
    pytest.importorskip("pyarrow.parquet")
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    photographs = [InputImage(str(tmp_path / "a.png"), "a")]
    output = Output(str(tmp_path / "shards"), "parquet")
    output.claim("one", photographs)
    assert output.write_all(photographs, lambda path: Prediction(np.zeros((6, 8), np.uint8)), keep=False) == [None]
    (shard,) = (tmp_path / "shards").glob("part-*.parquet")
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(RunError, match="is damaged; remove it"):
        output.claim("one", photographs, resume=True)


def test_a_photograph_may_be_called_as_a_file_in_the_making(photographs, tmp_path):
    output, images = Output(str(tmp_path / "masks")), [InputImage(photographs[0].source, "a.partial-1")]
    output.claim("one", images)
    output.write_all(images, compute, keep=False)
    assert output.claim("one", images, resume=True) == {"a.partial-1"}
    with pytest.raises(RunError, match="holds 1 masks of another run"):
        output.claim("two", photographs)


def test_a_run_is_no_folder_for_masks(photographs, tmp_path):
    for name in ("run.json", ".made-by.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(RunError, match=r"is a run folder; choose a folder of its own, such as .*predicted"):
        Output(str(tmp_path)).claim("one", photographs, overwrite=True)
    with pytest.raises(RunError, match="is a run folder"):
        claim_folder(tmp_path, "compare.json")
    Output(str(tmp_path / "predicted")).claim("one", photographs)
    assert (tmp_path / ".made-by.json").read_text() == "{}"
