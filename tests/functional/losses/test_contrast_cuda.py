"""The kernels without a GPU: what they compute, by Triton's interpreter; that they compile, by its compiler."""

import pytest
import torch
from tests.functional.losses.test_contrast import problem

from hintseg.functional.losses import contrast
from hintseg.functional.losses.contrast import pixel_to_segment_loss

pytest.importorskip("triton", minversion="3.7")  # older interpreters need an older numpy
contrast_cuda = pytest.importorskip("hintseg.functional.kernels.contrast_cuda")
contrast_kernels = pytest.importorskip("hintseg.functional.kernels.contrast")


def interpreted(*arguments):
    contrast._kernels = lambda *_: contrast_cuda.FusedPixelToSegment
    return gradients(*arguments)


def gradients(
    embeddings, own, pixel_labels, prototypes, prototype_labels, groups, dtype=torch.float32, reduction="none"
):  # fmt: skip
    pixels, means = (part.to(dtype).clone().requires_grad_() for part in (embeddings, prototypes))
    losses = pixel_to_segment_loss(
        pixels, own, pixel_labels, means, prototype_labels, 7.0, reduction=reduction,
        pixel_group=None if groups is None else groups[own], prototype_group=groups,
    )  # fmt: skip
    losses.square().mean().backward()
    return losses.detach(), pixels.grad, means.grad


@pytest.mark.parametrize(
    ("pixels", "segments", "dim", "labels", "sets"),
    [
        (130, 70, 20, 5, False),
        (1, 1, 4, 1, False),
        (70, 9, 64, 3, True),
        (130, 70, 20, 130, True),
        (40, 40, 71, 40, False),
    ],
)
@pytest.mark.parametrize("grouped", [False, True])
def test_equals_the_chunked_way(interpreter, pixels, segments, dim, labels, sets, grouped):
    arguments = problem(pixels, segments, dim, labels, sets)
    groups = torch.arange(segments) % 2 if grouped else None
    found = interpreter.submit(interpreted, *arguments, groups).result()
    for one, other in zip(found, gradients(*arguments, groups, torch.float64), strict=True):
        assert one.dtype == torch.float32
        assert (one.double() - other).norm() <= 1e-4 * other.norm() + 1e-6


def test_groups_in_order_meet_each_other_alone(interpreter):
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(300, 260, 20, 5)
    own, order = own.sort()
    arguments = embeddings[order], own, pixel_labels[order], prototypes, prototype_labels
    groups = torch.arange(260) // 40
    found = interpreter.submit(interpreted, *arguments, groups).result()
    for one, other in zip(found, gradients(*arguments, groups, torch.float64), strict=True):
        assert (one.double() - other).norm() <= 1e-4 * other.norm()


def test_blocks_whose_groups_cannot_meet_are_passed_over():
    pixels, segments = torch.tensor([0, 0, 1, 1, 1, 5, 7, 7, 7]), torch.tensor([0, 0, 1, 2, 3, 7])
    assert contrast_cuda._spans(pixels, segments, 3, 2).tolist() == [[0, 4], [2, 6], [4, 6]]
    assert contrast_cuda._spans(torch.tensor([9, 9]), segments, 2, 2).tolist() == [[6, 0]]  # nothing from 6 to 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_found_at_once_are_scaled_later(interpreter, reduction, dtype):
    arguments = problem(130, 70, 20)
    found = interpreter.submit(interpreted, *arguments, None, dtype, reduction).result()
    assert found[0].dtype == torch.float32
    for one, other in zip(found, gradients(*arguments, None, torch.float64, reduction), strict=True):
        assert (one.double() - other).norm() <= (1e-4 if dtype == torch.float32 else 5e-3) * other.norm()


def test_half_precision_loses_no_more_than_the_chunked_way(interpreter):
    arguments = problem(130, 70, 20)
    found = interpreter.submit(interpreted, *arguments, None, torch.bfloat16).result()
    for one, other in zip(found, gradients(*arguments, None, torch.bfloat16), strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one, other, atol=1e-3, rtol=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("capability", "dim", "dtype"),
    [(80, 64, torch.float32), (80, 128, torch.float32), (90, 64, torch.float32), (90, 64, torch.bfloat16)],
)
@pytest.mark.parametrize(("kernel", "each"), [("sums", False), ("gradients", False), ("gradients", True)])
def test_compiles_for_a_gpu_that_is_not_here(compiled, capability, dim, dtype, kernel, each):
    vectors, function = torch.empty(1, dim, dtype=dtype), getattr(contrast_kernels, f"{kernel}_kernel")
    options = contrast_cuda._options(vectors, vectors, torch.empty(1, 2), True) | {"INTERPRETED": False}
    options |= contrast_cuda._tile(options, kernel == "gradients") | {"EACH": each}
    types = dict.fromkeys(("pixels", "prototypes", "result"), "*fp32" if dtype == torch.float32 else "*bf16")
    types |= dict.fromkeys(("losses", "rates", "gradient", "totals"), "*fp32")
    types |= dict.fromkeys(("own", "row_groups", "column_groups"), "*i64")
    types |= dict.fromkeys(("row_labels", "column_labels", "spans", "row_spans", "column_spans"), "*i32")
    types |= {"scale": "fp32"} | dict.fromkeys(contrast_kernels.SIZES, "i32")
    built = compiled(function, types, options, capability)
    assert len(built.asm["cubin"]) > 1000
    assert built.metadata.shared <= 99 * 1024  # what every GPU of these generations has


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("sets", [False, True])
def test_equals_the_cpu_on_a_gpu(sets):
    arguments = problem(1000, 300, 64, 21, sets)
    assert contrast._kernels(torch.device("cuda", 0), torch.float32, torch.float32, 64, 21 * sets, False) is not None
    for reduction in ("none", "mean"):
        found = gradients(*(part.cuda() for part in arguments), None, reduction=reduction)
        for one, other in zip(found, gradients(*arguments, None, reduction=reduction), strict=True):
            torch.testing.assert_close(one.cpu(), other, atol=1e-5, rtol=1e-3)
