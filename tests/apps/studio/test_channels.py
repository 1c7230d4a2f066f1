"""Channels of images, one by one."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

pytest.importorskip("fastapi")


@pytest.fixture
def channels(folder, start):
    """How many channels an image has, and how one is shown, asked of the server."""

    def ask(key):
        client = start()
        count = client.get(f"/api/channels/{key}").json()["count"]
        answers = [client.get(f"/api/image/{key}", params={"channel": number}) for number in range(count)]
        assert all(answer.status_code == 200 for answer in answers)
        beyond = client.get(f"/api/image/{key}", params={"channel": count})
        assert beyond.status_code == 422
        assert f"has {count} channels" in beyond.json()["detail"]
        return [np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")) for answer in answers]

    return ask


def test_a_photograph_has_three(channels, folder):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10, :, 0], pixels[:, :15, 1] = 250, 100
    Image.fromarray(pixels).save(folder / "c.png")
    red, green, blue = channels("c")
    assert red[:8].min() > 240
    assert red[12:].max() < 10
    np.testing.assert_allclose(green[:, :12], 100, atol=6)
    assert blue.max() < 10


def test_a_gray_one_has_one(channels, folder):
    Image.fromarray(np.full((20, 30), 77, np.uint8)).save(folder / "c.png")
    (gray,) = channels("c")
    np.testing.assert_allclose(gray, 77, atol=3)


def test_a_microscopes_channels_are_stretched_one_by_one(channels, folder):
    values = np.zeros((20, 30, 5), np.uint16)
    for channel in range(5):
        values[:, 15:, channel] = 10**channel
    tifffile.imwrite(folder / "c.tif", values, photometric="minisblack", planarconfig="contig")
    found = channels("c")
    assert len(found) == 5
    for shown in found:
        assert shown[:, :12].max() < 30
        assert shown[:, 18:].min() > 225
