"""Every part beside a plain implementation, in turns: seconds and peak memory, on a CPU in processes of their own."""

import argparse
import contextlib
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.record import write

Call = Callable[[], Any]
LEAST_SECONDS = 1.0
CRF_SIZES = [(320, 240), (640, 480), (1280, 960)]
CRF_CLASSES = (3, 21)


def contrast(ours: bool, scale: float) -> Call:
    """16 384 pixels, 2 048 segments, 64 dimensions; forward and backward."""
    import torch

    from benchmarks import plain
    from hintseg.functional import pixel_to_segment_loss

    pixels, prototypes = _unit(int(16384 * scale), 64).requires_grad_(), _unit(2048, 64).requires_grad_()
    own, labels = torch.randint(2048, pixels.shape[:1]).to(pixels.device), torch.randint(21, (2048,)).to(pixels.device)
    loss = pixel_to_segment_loss if ours else plain.contrast
    return lambda: loss(pixels, own, labels[own], prototypes, labels, 12.0).backward()


def kmeans(ours: bool, scale: float) -> Call:
    """8 images of 64 × 64 vectors, 64 dimensions, 36 clusters, 10 rounds."""
    from benchmarks import plain
    from hintseg.functional.segments.kmeans import grid_clusters, spherical_kmeans

    features = _unit(int(8 * scale), 64 * 64, 64)
    start = grid_clusters(64, 64, (6, 6), features.device).reshape(1, -1).repeat(features.shape[0], 1)
    cluster = spherical_kmeans if ours else plain.spherical_kmeans
    return lambda: cluster(features, start, 10)


def prototypes(ours: bool, scale: float) -> Call:
    """32 768 vectors, 64 dimensions, 1 024 segments."""
    import torch

    from benchmarks import plain
    from hintseg.functional import segment_prototypes

    vectors = _unit(int(32768 * scale), 64)
    segments = torch.randint(1024, vectors.shape[:1]).to(vectors.device)
    mean = segment_prototypes if ours else plain.segment_prototypes
    return lambda: mean(vectors, segments, 1024)


def affinity(ours: bool, scale: float) -> Call:
    """2 048 segments of 8 images, a tenth of them labeled."""
    import torch

    from benchmarks import plain
    from hintseg.functional import affinity_label_sets

    vectors = _unit(int(2048 * scale), 69)
    image = (torch.arange(vectors.shape[0]) % 8).to(vectors.device)
    labels = torch.where(torch.rand(vectors.shape[0]) < 0.1, torch.randint(21, image.shape), 255).to(vectors.device)
    label_sets = affinity_label_sets if ours else plain.affinity_label_sets
    return lambda: label_sets(vectors, vectors, labels, image, image, 21, 1, 0.2)


def random_walk(ours: bool, scale: float) -> Call:
    """48 × 64 vectors, 21 classes, 64 steps."""
    import torch

    from benchmarks import plain
    from hintseg.functional import random_walk as walk

    vectors, seeds = _unit(48, int(64 * scale), 64), torch.rand(21, 48, int(64 * scale))
    chosen = walk if ours else plain.random_walk
    return lambda: chosen(vectors, seeds.to(vectors.device), 5.0, 20, 6)


def dense_crf(ours: bool, scale: float, width: int = 500, height: int = 375, classes: int = 21) -> Call:
    """A photograph, 10 rounds; beside it pydensecrf2."""
    import cv2
    import numpy as np
    from skimage import data

    width, height = int(width * scale**0.5), int(height * scale**0.5)
    image = cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_AREA)
    coarse = np.random.default_rng(0).uniform(1e-3, 1, (classes, 8, 10)).astype(np.float32)
    probabilities = np.stack([cv2.resize(part, (width, height)) for part in coarse]) ** 6
    probabilities /= probabilities.sum(axis=0)
    if ours:
        import torch

        from hintseg.functional import dense_crf as refine

        device = _device()
        return lambda: refine(image, torch.from_numpy(probabilities).to(device), 10)
    from pydensecrf.densecrf import DenseCRF2D

    def theirs() -> Any:
        field = DenseCRF2D(width, height, len(probabilities))
        field.setUnaryEnergy(np.ascontiguousarray(-np.log(probabilities).reshape(len(probabilities), -1)))
        field.addPairwiseGaussian(sxy=1, compat=3)
        field.addPairwiseBilateral(sxy=67, srgb=3, rgbim=image.copy(), compat=4)
        return np.array(field.inference(10)).reshape(probabilities.shape)

    return theirs


def retrieval(ours: bool, scale: float) -> Call:
    """1 000 queries among 10 000 segments, 64 dimensions, 20 nearest."""
    import torch

    from benchmarks import plain
    from hintseg.functional import vote

    memory, queries = _unit(int(10_000 * scale), 64), _unit(1000, 64)
    labels = torch.randint(21, memory.shape[:1]).to(memory.device)
    find = vote if ours else plain.vote
    return lambda: find(queries, memory, labels, 20, 21)


def looking(ours: bool, scale: float) -> Call:
    """The default network looks at a photograph of 400 × 272; plain: batch norms by themselves."""
    import torch

    from hintseg.network.conv_bn_fusion import unfuse
    from hintseg.network.embedder import Embedder
    from hintseg.recipes.fine_tuned import FINE_TUNED

    network = Embedder(FINE_TUNED.network, 21).to(_device()).to(memory_format=torch.channels_last).eval()
    if not ours:
        unfuse(network)
    image = torch.rand(1, 3, 400, int(272 * scale), device=_device()) * 255
    return torch.inference_mode()(lambda: network(image))


PARTS = (contrast, kmeans, prototypes, affinity, random_walk, dense_crf, retrieval, looking)


class Way:
    """One way of a part, in this process: called once a turn.

    Args:
        part: NAME or, for `dense_crf`, NAME:WIDTHxHEIGHTxCLASSES.
    """

    def __init__(self, part: str, way: str, scale: float) -> None:
        import torch

        torch.manual_seed(0)
        self._cuda = torch.cuda.is_available()
        name, _, size = part.partition(":")
        start = next(function for function in PARTS if function.__name__ == name)
        self._call = start(way == "hintseg", scale, *map(int, size.split("x") if size else ()))
        self._before = _resident_mib()

    def turn(self) -> tuple[float, float]:
        """Seconds of one call, and how much the process, or what is held on the GPU, grew at its largest, in MiB."""
        import torch

        if self._cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            held = torch.cuda.memory_allocated()
        started = time.perf_counter()
        self._call()
        if not self._cuda:
            return time.perf_counter() - started, _resident_mib() - self._before
        torch.cuda.synchronize()
        return time.perf_counter() - started, (torch.cuda.max_memory_allocated() - held) / 2**20


class WayApart:
    """One way of a part in a process of its own, whose memory it is; it waits while others have their turns."""

    def __init__(self, part: str, way: str, scale: float, threads: int | None) -> None:
        command = [sys.executable, "-m", "benchmarks.parts", "--serve", part, way, "--scale", str(scale)]
        # Idle threads must not spin into the other's turn: as hintseg's own command sets it.
        environment = {"GOMP_SPINCOUNT": "500"} | os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def turn(self) -> tuple[float, float]:
        """As `Way.turn`; RuntimeError where the process ended, which said why."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(file=self._process.stdin, flush=True)
            seconds, grown = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise RuntimeError("the process ended") from None
        return seconds, grown

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def measure(
    part: str, ways: Sequence[str], scale: float, repeats: int, threads: int | None = None
) -> list[dict[str, Any]]:
    """Median seconds of each way after one call to warm up, and its peak memory; the ways are called in turns.

    Of `repeats` turns, or as many as let every way run for `LEAST_SECONDS`: a machine's other work comes in bursts,
    and so falls upon all ways alike. A way that cannot run here is left out.
    """
    rows = []
    with contextlib.ExitStack() as open_ways:
        running: dict[str, tuple[Way | WayApart, list[tuple[float, float]]]] = {}
        for way in ways:
            try:
                caller = Way(part, way, scale) if _device() == "cuda" else WayApart(part, way, scale, threads)
                if isinstance(caller, WayApart):
                    open_ways.callback(caller.close)
                running[way] = caller, [caller.turn()]
            except (ImportError, RuntimeError) as problem:
                print(f"{part}, {way}: {problem}", file=sys.stderr)
        while any(len(turns) <= repeats or sum(took for took, _ in turns[1:]) < LEAST_SECONDS
                  for _, turns in running.values()):  # fmt: skip
            for caller, turns in running.values():
                turns.append(caller.turn())
        for way, (_, turns) in running.items():
            seconds = statistics.median(took for took, _ in turns[1:])
            grown = max(grown for _, grown in turns)
            rows.append({"part": part, "way": way, "scale": scale, "seconds": seconds, "grown_mib": round(grown, 1)})
    return rows


def crf_sizes(repeats: int) -> list[dict[str, Any]]:
    """hintseg's CRF and pydensecrf2 by size, classes and threads; `ratio` is hintseg's seconds by the other's."""
    rows = []
    for threads in (1, 2):
        for (width, height), classes in itertools.product(CRF_SIZES, CRF_CLASSES):
            found = measure(f"dense_crf:{width}x{height}x{classes}", ("plain", "hintseg"), 1, repeats, threads)
            if len(found) == 2:
                found[1]["ratio"] = round(found[1]["seconds"] / found[0]["seconds"], 2)
            rows += [{**row, "threads": threads} for row in found]
            print(*rows[-len(found) :], sep="\n", flush=True)
    return rows


def serve(part: str, way: str, scale: float) -> None:
    """A turn for every line that comes in, answered with its numbers."""
    try:
        caller = Way(part, way, scale)
    except ImportError as problem:
        raise SystemExit(f"{part}, {way}: {problem}") from None
    for _ in sys.stdin:
        print(json.dumps(caller.turn()), flush=True)


def startup(repeats: int = 7) -> list[dict[str, Any]]:
    """Python alone, `import hintseg`, and `hintseg --help`."""
    commands = {"python": ["-c", "pass"], "import hintseg": ["-c", "import hintseg"],
                "hintseg --help": ["-m", "hintseg.apps.cli.app", "--help"]}  # fmt: skip
    rows = []
    for name, arguments in commands.items():
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            seconds.append(time.perf_counter() - started)
        rows.append({"part": f"start of {name}", "way": "hintseg", "seconds": round(statistics.median(seconds), 3)})
    return rows


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _unit(*shape: int) -> Any:
    import torch

    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1).to(_device())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs=2, help="call PART hintseg|plain once for every line of the standard input")
    parser.add_argument("--parts", default=",".join(part.__name__ for part in PARTS))
    parser.add_argument("--scale", type=float, default=1, help="of the number that grows: pixels, images, segments")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--crf", action="store_true", help="only the CRF, by size, classes and threads")
    parser.add_argument("--name", help="of the result file")
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve, options.scale)
        return
    if options.crf:
        print(write(options.name or "parts-crf", crf_sizes(options.repeats)))
        return
    rows = []
    for part in options.parts.split(","):
        found = measure(part, ("plain", "hintseg"), options.scale, options.repeats)
        if len(found) == 2:
            found[1]["faster"] = round(found[0]["seconds"] / found[1]["seconds"], 2)
        rows += found
        print(*found, sep="\n", flush=True)
    rows += startup()
    print(*rows[-3:], sep="\n")
    print(write(options.name or "parts", rows))


if __name__ == "__main__":
    main()
