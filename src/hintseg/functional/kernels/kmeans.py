"""The kernel of the k-means."""

import triton
import triton.language as tl

from hintseg.functional.kernels.tensor_cores import parted, product


@triton.jit(do_not_specialize=["num_rows", "num_clusters"])
def kmeans_kernel(
    features, clusters, before, after, found, num_rows, num_clusters,
    DIM: tl.constexpr, DEPTH: tl.constexpr, CLUSTERS: tl.constexpr, SHARES: tl.constexpr, INTERPRETED: tl.constexpr,
    START: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Assign one share of an image's vectors to the means of `before`, at the START to `clusters`, and add them up."""
    image = tl.program_id(0).to(tl.int64)
    share = tl.program_id(1)
    cluster = tl.arange(0, CLUSTERS)
    depth = tl.arange(0, DEPTH)
    cell = (cluster * DIM)[:, None] + depth[None, :]
    used = (cluster < num_clusters)[:, None] & (depth < DIM)[None, :]
    mean = tl.zeros((CLUSTERS, DEPTH), dtype=tl.float32)
    if not START:
        for other in range(SHARES):
            mean += tl.load(before + (image * SHARES + other) * num_clusters * DIM + cell, mask=used, other=0.0)
        mean = mean / tl.maximum(tl.sqrt(tl.sum(mean * mean, axis=1)), 1e-12)[:, None]
    mean_high, mean_low = parted(mean, 2)
    sums = tl.zeros((CLUSTERS, DEPTH), dtype=tl.float32)
    span = tl.cdiv(tl.cdiv(num_rows, ROWS), SHARES) * ROWS
    first = share * span
    last = tl.minimum(first + span, num_rows)
    for start in range(first, last, ROWS):
        rows = start + tl.arange(0, ROWS)
        inside = rows < last
        place = image * num_rows + rows
        vector = tl.load(
            features + (place * DIM)[:, None] + depth[None, :], mask=inside[:, None] & (depth < DIM)[None, :], other=0.0
        )
        high, low = parted(vector, 2)
        if START:
            nearest = tl.load(clusters + place, mask=inside, other=0).to(tl.int32)
        else:
            similarity = tl.zeros((CLUSTERS, ROWS), dtype=tl.float32)
            similarity = product(mean_high, mean_low, tl.trans(high), tl.trans(low), similarity, 2, INTERPRETED)
            nearest = tl.argmax(tl.where((cluster < num_clusters)[:, None], similarity, float("-inf")), axis=0)
            tl.store(found + place, nearest.to(tl.int64), mask=inside)
        member = ((cluster[:, None] == nearest[None, :]) & inside[None, :]).to(tl.float32).to(tl.bfloat16)
        sums = product(member, member, low, low, sums, 1, INTERPRETED)
        sums = product(member, member, high, high, sums, 1, INTERPRETED)
    tl.store(after + (image * SHARES + share) * num_clusters * DIM + cell, sums, mask=used)
