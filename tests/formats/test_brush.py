"""Label Studio's run lengths: the alpha channel alone is unpacked."""

import tracemalloc

import numpy as np
import pytest

from hintseg.formats.brush import decode_brush, encode_brush


def plain(values, word=8):
    """A stream of single values and of repeated ones, in blocks of odd lengths that no pixel fits."""
    text, place = f"{len(values):032b}{word - 1:05b}" + "0011" * 4, 0
    for count in [1, 2, 3, 5, 7, 4, 16] * len(values):
        block = values[place : place + count]
        if not block:
            break
        alike = len(set(block)) == 1
        text += f"{int(alike)}00{len(block) - 1:04b}" + "".join(f"{v:0{word}b}" for v in block[: 1 if alike else None])
        place += len(block)
    text += "0" * (-len(text) % 8)
    return [int(text[index : index + 8], 2) for index in range(0, len(text), 8)]


@pytest.mark.parametrize("seed", range(6))
def test_blocks_of_any_length(seed):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 3, (5, 4, 4)) * (random.random((5, 4, 1)) < 0.5)
    decoded = decode_brush(plain(pixels.ravel().tolist()), 5, 4)
    assert (decoded == (pixels[..., 3] > 0)).all()
    assert (decode_brush(encode_brush(decoded), 5, 4) == decoded).all()


def test_a_large_mask_takes_a_byte_a_pixel():
    codes = encode_brush(np.zeros((1000, 1000), np.bool_))
    tracemalloc.start()
    assert not decode_brush(codes, 1000, 1000).any()
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
