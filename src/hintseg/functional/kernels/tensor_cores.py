"""Products in kernels: tensor cores multiply bfloat16.

float32 enters as the sum of two, x ≈ h + l, and x·y as h·h + h·l + l·h, exact to 2⁻¹⁶.
"""

import triton
import triton.language as tl


@triton.jit
def parted(values, PARTS: tl.constexpr):
    """h and l; with one part l is h and not read."""
    high = values.to(tl.bfloat16)
    low = high
    if PARTS == 2:
        low = (values.to(tl.float32) - high.to(tl.float32)).to(tl.bfloat16)
    return high, low


@triton.jit
def product(
    left_high, left_low, right_high, right_low, total, PARTS: tl.constexpr, INTERPRETED: tl.constexpr
):  # fmt: skip
    """total + left · right of matrices in parts; with one part the low ones are not read."""
    if INTERPRETED:  # the interpreter does not multiply bfloat16
        left = left_high.to(tl.float32)
        right = right_high.to(tl.float32)
        if PARTS == 2:
            left += left_low.to(tl.float32)
            right += right_low.to(tl.float32)
        return tl.dot(left, right, total, input_precision="ieee")
    if PARTS == 2:
        total = tl.dot(left_low, right_high, total)
        total = tl.dot(left_high, right_low, total)
    return tl.dot(left_high, right_high, total)
