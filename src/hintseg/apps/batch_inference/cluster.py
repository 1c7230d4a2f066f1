"""Segment images on a Ray cluster, or on all cores of this machine.

The run travels to the workers with the job; images and output must be readable from there: URLs, or a folder
that all machines share. A worker that dies is started again and its batch repeated; what it had written stays.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.batch_inference.input_images import InputImage
from hintseg.apps.batch_inference.local import SHARD, computation
from hintseg.apps.batch_inference.output import Output
from hintseg.config.schema import InferenceConfig
from hintseg.errors import ConfigError, HintsegError, RunError
from hintseg.inference.retrieval import EARLIER_MEMORY_BANK, MEMORY_BANK
from hintseg.io.storage.files import absolute

RUN_FILES = ("run.json", "weights.safetensors", MEMORY_BANK, EARLIER_MEMORY_BANK)
BATCH = 16  # images a worker takes at once: at most so many are looked at again after it died
log = logging.getLogger("hintseg")


class Worker:
    """Holds a network and writes the masks of one batch after the other; Ray makes one in each process."""

    def __init__(self, run: Any, output: Output, config: InferenceConfig) -> None:
        """Open a run.

        Args:
            run: reference to its files' names and bytes in Ray's store.
        """
        import ray

        from hintseg.inference.segmenter import Segmenter

        self.output, self.warnings = output, _Warnings()
        logging.getLogger("hintseg").addHandler(self.warnings)
        with tempfile.TemporaryDirectory(prefix="hintseg-") as folder:
            for name, content in ray.get(run).items():
                (Path(folder) / name).write_bytes(content)
            segmenter = Segmenter.open(folder)
            if config.method != "softmax":
                segmenter.index  # noqa: B018  read before its file goes away
        self.compute = computation(segmenter, config, output.soft)

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns (source, name) → (name, error, fatal, warnings).

        Without an error a mask was written, a fatal one ends all; warnings are the whole batch's, of `_Warnings`.
        """
        images = [InputImage(*pair) for pair in zip(batch["source"], batch["name"], strict=True)]
        fatal = False
        try:
            errors = self.output.write_all(images, self.compute, keep=True)
        except HintsegError as error:
            fatal, errors = True, [str(error)] * len(images)
        said = np.array([error or "" for error in errors], dtype=object)
        warnings = np.array([self.warnings.taken()] * len(images), dtype=object)
        return {"name": batch["name"], "error": said, "fatal": np.full(len(images), fatal), "warnings": warnings}


class _Warnings(logging.Handler):
    """Keeps what a worker warns of, since its log does not reach the user."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        self.kept.setdefault(getattr(record, "once", sentence), sentence)

    def taken(self) -> str:
        """The sentences since the last call, by what shall be said once, as JSON."""
        kept, self.kept = self.kept, {}
        return json.dumps(kept)


def _say(warnings: str, said: set[str]) -> None:
    """Say what no worker has said before.

    Args:
        warnings: of `_Warnings.taken`.
        said: grows.
    """
    for once, sentence in json.loads(warnings).items():
        if once not in said:
            said.add(once)
            log.warning("%s", sentence)


def predict_on_ray(
    run: Path, images: Sequence[InputImage], output: Output, config: InferenceConfig,
    workers: int | None = None, worker: type[Worker] = Worker,
) -> Iterator[tuple[InputImage, str | None]]:  # fmt: skip
    """Segment images on the cluster that RAY_ADDRESS names, or on this machine.

    Args:
        run: run folder, on this machine.
        images: with addresses that every machine of the cluster can read.
        output: likewise; claimed, and without masks of these names.
        config: how images are segmented.
        workers: at most so many at once; None: as many as there are GPUs, or CPUs where there is none.
        worker: what each of them is.

    Yields:
        Each image with what was wrong with it, or None; in no particular order.

    Raises:
        ConfigError: Ray is not installed.
        RunError: the cluster cannot be reached, or the output cannot be written.
    """
    ray = _require_ray()
    if not images:
        return
    _connect(ray)
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    most = workers or gpus or int(resources.get("CPU", 1))
    sources = {image.name: image for image in images}
    # Workers have working folders of their own.
    output = replace(output, folder=absolute(output.folder))
    files = {name: (run / name).read_bytes() for name in RUN_FILES if (run / name).exists()}
    blocks = _blocks(images, SHARD if output.kind == "parquet" else BATCH)
    work = ray.data.from_arrow(blocks).map_batches(
        worker,
        batch_size=None,
        batch_format="numpy",
        fn_constructor_args=(ray.put(files), output, config),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(most, len(blocks))),
        num_cpus=0 if gpus else 1,
        num_gpus=1 if gpus else 0,
    )
    said: set[str] = set()
    try:
        for done in work.iter_batches(batch_size=None, batch_format="numpy"):
            if done["fatal"].any():
                raise RunError(done["error"][0])
            _say(done["warnings"][0], said)
            for name, wrong in zip(done["name"], done["error"], strict=True):
                yield sources[name], wrong or None
    except ray.exceptions.RayError as failure:
        raise RunError(
            f"Ray stopped: {str(failure).splitlines()[0]}. Masks that were written stay; go on with --resume."
        ) from failure


def _connect(ray: Any) -> None:
    if not ray.is_initialized():
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RunError(f"the Ray cluster cannot be reached ({error}); check RAY_ADDRESS.") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)


def _blocks(images: Sequence[InputImage], size: int) -> list[Any]:
    """Tables of (source, name): a block is a batch, so that one tried again is the same and finds what was written."""
    import pyarrow

    batches = (images[start : start + size] for start in range(0, len(images), size))
    return [
        pyarrow.table({"source": [absolute(image.source) for image in batch], "name": [image.name for image in batch]})
        for batch in batches
    ]


def _require_ray() -> Any:
    # Ray would report its usage to its makers; whoever wants that sets the variable.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray: pip install 'hintseg[ray]'.") from error
    return ray
