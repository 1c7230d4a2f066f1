"""studio/run-NNN.json: which process trains a run, so that a later server finds it, and which classes it learns."""

import json
import platform
import re
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from hintseg.apps.studio.links import writable
from hintseg.apps.studio.processes import birth
from hintseg.apps.studio.tables import mark
from hintseg.errors import HintsegError, InputError, RunError
from hintseg.inference.retrieval import bank_path
from hintseg.inference.run_config import RunConfig
from hintseg.io.reading import read_json
from hintseg.io.writing import write_text


@dataclass(frozen=True)
class RunRecord:
    """A training that a studio started.

    Attributes:
        run: name of its folder.
        pid, born: of the process, see `birth`.
        machine: where it runs.
        classes: identifiers, by label.
        stopped: whether somebody stopped it.
        instant: whether the instant engine runs it.
        started: when, `time.time`; 0: unknown.
    """

    run: str
    pid: int
    born: str | None
    machine: str
    classes: tuple[str, ...]
    stopped: bool = False
    instant: bool = True
    started: float = 0.0

    @classmethod
    def of(cls, run: str, pid: int, classes: tuple[str, ...], instant: bool = True) -> Self:
        """A process of this machine."""
        return cls(run, pid, birth(pid), platform.node(), classes, instant=instant, started=time.time())

    @classmethod
    def load(cls, folder: Path, run: str) -> Self | None:
        """The record of a run; None where there is none or it is damaged."""
        try:
            content: dict[str, Any] = read_json(folder / f"{run}.json")
            classes = tuple(str(one) for one in content["classes"])
            born = content["born"]
            return cls(
                run, int(content["pid"]), None if born is None else str(born), str(content["machine"]), classes,
                content["stopped"] is True, content.get("instant") is not False, float(content.get("started", 0)),
            )  # fmt: skip
        except (InputError, ValueError, OverflowError, KeyError, TypeError):
            return None

    def save(self, root: Path) -> None:
        """Write it into a project.

        Raises:
            RunError: it cannot be written.
        """
        write_text(writable(root, "studio", f"{self.run}.json"), json.dumps(self.__dict__, indent=1))

    def runs(self) -> bool:
        """Whether its process still runs on this machine."""
        return self.born is not None and self.machine == platform.node() and birth(self.pid) == self.born


def recorded(
    process: subprocess.Popen[bytes], root: Path, run: str, classes: tuple[str, ...], instant: bool
) -> RunRecord:
    """The record, in a project, of a training that was just started.

    Raises:
        RunError: it cannot be written; the training is ended, since nobody could find or stop it.
    """
    record = RunRecord.of(run, process.pid, classes, instant)
    try:
        record.save(root)
    except RunError:
        process.kill()
        raise
    return record


def running(folder: Path) -> RunRecord | None:
    """The training under way in a studio folder, whoever started it."""
    names = sorted((path.stem for path in folder.glob("run-*.json")), reverse=True)
    records = (RunRecord.load(folder, name) for name in names)
    return next((record for record in records if record is not None and record.runs()), None)


def unfinished(folder: Path) -> RunRecord | None:
    """The last training, where it was stopped or ended before it was finished, and its folder is still there."""
    finished = newest_run(folder, "run-*")
    last = max((path.with_suffix("") for path in folder.glob("run-*.json")), key=_by_number, default=None)
    if last is None or not last.is_dir() or (finished is not None and _by_number(last) <= _by_number(finished)):
        return None
    record = RunRecord.load(folder, last.name)
    return record if record and record.machine == platform.node() else None  # elsewhere it may still run


def classes_of_run(run: Path) -> tuple[str, ...] | None:
    """What a run itself says that it learned: names by label; None where its description is damaged."""
    return _described(run, mark(run / "run.json"))


@lru_cache(maxsize=16)
def _described(run: Path, marked: tuple[int, ...]) -> tuple[str, ...] | None:
    try:
        return tuple(RunConfig.load(run / "run.json").classes)
    except HintsegError:
        return None


def newest_run(folder: Path, pattern: str) -> Path | None:
    """The last finished run among folders of a pattern."""
    runs = sorted((path.parent for path in folder.glob(f"{pattern}/weights.safetensors")), key=_by_number)
    finished = [run for run in runs if is_finished(run)]
    return finished[-1] if finished else None


def _by_number(run: Path) -> list[tuple[int, str]]:
    """So that run-1000 comes after run-999."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(run))]


def is_finished(run: Path) -> bool:
    """Whether a run can be used."""
    return (run / "weights.safetensors").exists() and bank_path(run).exists()
