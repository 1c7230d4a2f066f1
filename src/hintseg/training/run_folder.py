"""What a run leaves in its folder while it goes on: lock, log, metrics."""

import csv
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hintseg.errors import HintsegError, RunError
from hintseg.inference.run_config import RunConfig
from hintseg.io.locking import holding
from hintseg.io.storage.outputs import claim_folder
from hintseg.io.writing import atomic_path
from hintseg.network.embedder import Embedder


def write_metrics(out: Path, history: list[dict[str, float]]) -> None:
    """metrics.csv: one row an iteration."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with atomic_path(out / "metrics.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(history)


def write_tensorboard(out: Path, history: list[dict[str, float]], first: int) -> None:
    """Event files under tensorboard/, where the tensorboard package is installed.

    One file a stretch of training: everything since `first` is written anew, so that a killed run leaves
    no row twice.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return
    folder = out / "tensorboard" / f"from-{first:07d}"
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for row in history:
            if row["iteration"] >= first:
                for name, value in row.items():
                    writer.add_scalar(name, value, int(row["iteration"]))


def save_network(network: Embedder, out: Path) -> None:
    """weights.safetensors, which makes a run complete."""
    from safetensors.torch import save_file

    with atomic_path(out / "weights.safetensors") as temporary:
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, temporary)


@contextmanager
def own_folder(out: Path, resume: bool) -> Iterator[None]:
    """A new folder, or one that holds a run to go on with: this process's own, and logged to.

    Raises:
        RunError: it holds something else, is in use, or cannot be written.
    """
    if (out / "run.json").exists():
        if not resume:
            raise RunError(f"{out}: already holds a run; add --resume to go on with it, or choose another --out.")
        RunConfig.load(out / "run.json")
    _require_no_links(out)
    claim_folder(out, "run.json")
    with locked(out), logged(out):
        yield


def _require_no_links(out: Path) -> None:
    """Refuse a run, which may be a stranger's, through which files elsewhere would be written."""
    for folder, folders, files in os.walk(out):
        if linked := [name for name in (*folders, *files) if os.path.islink(os.path.join(folder, name))]:
            raise RunError(
                f"{os.path.join(folder, linked[0])}: is a link; nothing is written through links in a run. Replace it "
                "by what it leads to."
            )


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold a run folder for one process; RunError where another holds it, or it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror}); choose another --out.") from error
    with holding(handle, f"{out}: another hintseg process is writing this run; wait for it or choose another --out."):
        yield


@contextmanager
def logged(out: Path) -> Iterator[None]:
    """What the library logs, from INFO up, also goes to `log.txt` in the run folder; a resumed run appends."""
    logger = logging.getLogger("hintseg")
    before = logger.level
    handler = _LogFile(out / "log.txt", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        logger.info("stopped: %s", error if isinstance(error, HintsegError) else repr(error))
        raise
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()


class _LogFile(logging.FileHandler):
    """A log that a full disk cuts short; the sentence about the disk comes from what is written beside it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass
