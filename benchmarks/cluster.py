"""Predict on a local Ray cluster while two of its workers are killed; every mask must equal that of one process."""

import argparse
import hashlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from benchmarks.record import write
from hintseg.apps.batch_inference.cluster import Worker, predict_on_ray
from hintseg.apps.batch_inference.input_images import find_images
from hintseg.apps.batch_inference.local import maker_of, pending, predict_here
from hintseg.apps.batch_inference.output import Output
from hintseg.inference.segmenter import Segmenter


class Watched(Worker):
    """Writes down which process computes what; Ray carries the class, and the diary's place, to every worker."""

    diary: str = ""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        usual = self.compute

        def compute(path: Path) -> object:
            with open(self.diary, "a") as file:
                file.write(f"{os.getpid()} {path.stem}\n")
            return usual(path)

        self.compute = compute


def digests(folder: Path) -> dict[str, str]:
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.png")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("photographs", type=Path, help="folder")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--name", default="cluster", help="of the result file")
    options = parser.parse_args()
    segmenter = Segmenter.open(options.run, "cpu")
    config = segmenter.with_inference(method="softmax", crf=False)
    photographs = find_images([options.photographs])
    with tempfile.TemporaryDirectory() as folder:
        here, there = Output(f"{folder}/here"), Output(f"{folder}/there")
        started = time.monotonic()
        assert all(wrong is None for _, wrong in predict_here(segmenter, photographs, here, config))
        alone = time.monotonic() - started
        expected = digests(Path(here.folder))
        Watched.diary = f"{folder}/diary"
        wanted = pending(photographs, there, maker_of(segmenter, config))
        moments = [len(photographs) * (number + 1) // (options.kills + 1) for number in range(options.kills)]
        killed, started = [], time.monotonic()
        for done, (_, wrong) in enumerate(
            predict_on_ray(options.run, wanted, there, config, options.workers, Watched), start=1
        ):
            assert wrong is None, wrong
            if moments and done >= moments[0]:
                moments.pop(0)
                recent = {int(line.split()[0]) for line in Path(Watched.diary).read_text().splitlines()[-8:]}
                killed.append(random.choice(sorted(recent - set(killed))))
                os.kill(killed[-1], signal.SIGKILL)
        seconds = time.monotonic() - started
        found = digests(Path(there.folder))
        computed = Path(Watched.diary).read_text().splitlines()
        row = {
            "photographs": len(photographs), "workers": options.workers, "kills": len(killed),
            "masks": len(found), "equal": sum(found.get(name) == mask for name, mask in expected.items()),
            "computed": len(computed), "seconds": round(seconds, 1), "seconds alone": round(alone, 1),
        }  # fmt: skip
    print(row)
    print(write(options.name, [row]))


if __name__ == "__main__":
    main()
