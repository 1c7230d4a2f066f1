"""The approximate index of a large segment memory: time to make it, size, recall against comparing all, and search.

Prototypes are those of a run, repeated with noise until there are enough, so that they lie as classes make them lie.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.record import write
from hintseg.functional.propagation.vote import nearest_segments
from hintseg.inference.large_index import LargeIndex
from hintseg.inference.retrieval import load_index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--segments", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=0.3, help="length of what is added to every repeated prototype")
    options = parser.parse_args()
    known = load_index(options.run / "memory_bank.safetensors", 255, 2**40).prototypes
    rows = []
    for count in options.segments:
        generator = torch.Generator().manual_seed(count)
        prototypes = torch.empty(count, known.shape[1])
        for start in range(0, count, known.shape[0]):
            part = known[: min(known.shape[0], count - start)]
            noise = F.normalize(torch.randn(part.shape, generator=generator), dim=1)
            prototypes[start : start + len(part)] = F.normalize(part + options.noise * noise, dim=1)
        noise = F.normalize(torch.randn(options.queries, known.shape[1], generator=generator), dim=1)
        chosen = torch.randperm(known.shape[0], generator=generator)[: options.queries]
        queries = F.normalize(known[chosen] + options.noise * noise, dim=1)
        started = time.monotonic()
        _, expected = nearest_segments(queries, prototypes, 20)
        exact = time.monotonic() - started
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            index = LargeIndex(Path(folder), prototypes)
            made = time.monotonic() - started
            started = time.monotonic()
            _, found = index.nearest(queries, 20)
            search = time.monotonic() - started
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
        pairs = zip(found.tolist(), expected.tolist(), strict=True)
        recall = sum(len(set(one) & set(other)) for one, other in pairs) / expected.numel()
        rows.append({
            "segments": count, "queries": len(queries), "seconds": round(made, 1), "index_mib": round(size / 2**20),
            "recall_of_20": round(recall, 4), "search_seconds": round(search, 2), "exact_seconds": round(exact, 2),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        })  # fmt: skip
        print(rows[-1], flush=True)
    print(write("large-memory", rows))


if __name__ == "__main__":
    main()
