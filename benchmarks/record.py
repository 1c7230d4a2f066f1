"""What every result file says about where it comes from."""

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from hintseg.hints.dataset import Dataset

ROOT = Path(__file__).parents[1]
RESULTS = Path(os.environ.get("HINTSEG_RESULTS", ROOT / "paper" / "results"))
TEST_LOG = ROOT / "paper" / "test-split.md"


def write(name: str, rows: list[dict[str, Any]], commit: str | None = None) -> Path:
    """Write paper/results/NAME.json and return its path."""
    import torch

    content = {
        "command": _command(),
        "commit": commit or _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        },
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return path


def note_split(dataset: Dataset, split: str) -> None:
    """Add this command to `TEST_LOG` if it is about to look at a test split."""
    if split != "test":
        return
    if not any(dataset.has_mask(key) for key in dataset.keys(split)):
        raise SystemExit(f"{dataset.root}: split 'test' has no masks; put them into masks/.")
    with TEST_LOG.open("a", encoding="utf-8") as file:
        file.write(f"| {date.today()} | `{_commit()}` | `{_command()}` |\n")


def _command() -> str:
    return " ".join(["python -m", _module(Path(sys.argv[0])), *map(_short, sys.argv[1:])])


def _commit() -> str:
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return head.stdout.strip()


def _module(path: Path) -> str:
    return "benchmarks." + (path.parent.name if path.stem == "__main__" else path.stem)


def _short(argument: str) -> str:
    """Only the last part of a path: results name no machine's folders."""
    return Path(argument).name if argument.startswith(("/", "..")) else argument


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
