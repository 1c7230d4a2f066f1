"""Label Studio's masks: run lengths of an RGBA image, of which the alpha channel is the mask."""

import numpy as np
from numpy.typing import NDArray


def decode_brush(codes: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Label Studio's run lengths → (H, W) bool, where the alpha channel is not zero.

    The bytes are a stream of bits: 32 for the number of values, 5 for the length of a value less one, four
    times 4 for lengths of counts less one; then blocks of one bit (1: a value repeated, 0: values one by
    one), two bits (which length of count), the count less one, and the value or values.

    Raises:
        ValueError: not such a stream, or of another size.
    """
    try:
        bits = np.unpackbits(np.array(codes, dtype=np.int64).astype(np.uint8))
    except (OverflowError, TypeError) as error:
        raise ValueError("values that are no bytes") from error
    place = 0

    def take(count: int) -> int:
        nonlocal place
        if place + count > bits.size:
            raise ValueError("the stream ends too soon")
        value = 0
        for bit in bits[place : place + count].tolist():
            value = value * 2 + bit
        place += count
        return value

    total = take(32)
    if total != height * width * 4:
        raise ValueError(f"{total} values")
    word = take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    alpha = np.zeros(height * width, dtype=np.bool_)  # every fourth value; all together would take gigabytes
    done = 0
    weights = 1 << np.arange(word)[::-1]
    while done < total:
        repeated = take(1)
        count = take(lengths[take(2)]) + 1
        if done + count > total:
            raise ValueError("more values than announced")
        there = slice(done // 4, (done + count) // 4)
        if repeated:
            alpha[there] = take(word) > 0
        else:
            if place + count * word > bits.size:
                raise ValueError("the stream ends too soon")
            values = bits[place : place + count * word].reshape(count, word) @ weights
            alpha[there] = values[3 - done % 4 :: 4] > 0
            place += count * word
        done += count
    return alpha.reshape(height, width)


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """(H, W) bool → Label Studio's run lengths of a white image with this alpha channel."""
    height, width = mask.shape
    values = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], edges])
    counts = np.diff(np.concatenate([starts, [values.size]]))
    lengths = (3, 4, 8, 16)
    text = [f"{height * width * 4:032b}", f"{7:05b}", *(f"{length - 1:04b}" for length in lengths)]
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        while count > 0:
            part = min(count, 1 << 16)
            which = next(index for index, length in enumerate(lengths) if part <= 1 << length)
            text.append(f"1{which:02b}{part - 1:0{lengths[which]}b}{values[start]:08b}")
            count -= part
    stream = "".join(text)
    stream += "0" * (-len(stream) % 8)
    return [int(stream[index : index + 8], 2) for index in range(0, len(stream), 8)]
