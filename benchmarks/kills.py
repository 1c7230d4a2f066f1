"""kill -9 at random moments of train, complete, predict, evaluate and import; what is left must be whole.

Each command is started, killed after a random time and started again until it ends by itself. Then its files must
equal those of a run that nobody interrupted, and no partial file may lie about.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import write

TINY = [
    "network.backbone=test_efficientnet", "network.output_stride=32", "network.decoder_channels=16",
    "network.embedding_dim=8",
    "data.batch_size=2", "data.crop_size=64", "data.num_superpixels=12", "segments.grid=[4,4]",
    "segments.memory_bank=1", "checkpoint_every=2",
    "objective.pseudo_label_cross_entropy.weight=1", "self_training.mode=joint", "tags.iterations=4",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def commands(data: Path, out: Path, annotated: Path) -> dict[str, list[str]]:
    """Every long command, in an order in which each finds what it needs."""
    settings = [part for setting in TINY for part in ("--set", setting)]
    run, common = str(out / "run"), ["--device", "cpu"]
    train = ["--weights", "none", "--iterations", "8", "--resume", "--hints", "scribbles,tags", *settings, *common]
    return {
        "train": ["train", str(data), "--out", run, *train],
        "complete": ["complete", run, "--out", str(out / "completed"), "--resume", *common],
        "predict": ["predict", run, str(data / "images"), "--out", str(out / "masks"), "--resume", *common],
        "evaluate": ["evaluate", run, str(data), "--split", "val", *common],
        "export": ["export", run, "--masks", str(out / "completed"), "--format", "coco", "--out", str(out / "coco")],
        "import": ["import", str(annotated), "--out", str(out / "imported")],
    }


def once(command: list[str], kill_after: float | None) -> tuple[int, float, str]:
    """Exit code, seconds and last words; −9 where it was killed."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "hintseg.apps.cli.app", *command],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = process.communicate(timeout=kill_after)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[1]
    return process.returncode, time.monotonic() - started, said.strip()[-300:]


def fingerprint(folder: Path) -> dict[str, str]:
    """Digest of every file whose content does not depend on the time of day."""
    changing = {"log.txt", "metrics.csv", "metrics.json", "checkpoint.pt", "tags.pt", ".lock", "run.json"}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in changing
        and "tensorboard" not in path.parts
        and path.suffix not in (".npz", ".html")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a small data set folder with scribbles, tags and a split val")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    rows: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        whole, annotated, usual = Path(folder) / "whole", Path(folder) / "annotated", {}
        for name, command in commands(options.data, whole, annotated).items():
            if name == "import":
                shutil.copytree(whole / "coco", annotated)
                shutil.copytree(options.data / "images", annotated / "images")
            code, usual[name], said = once(command, None)
            assert code == 0, f"{name}: {said}"
            rows[name] = {"command": name, "seed": options.seed, "kills": 0, "starts": 0, "refused": []}
        expected, killed, number = fingerprint(whole), 0, 0
        while killed < options.kills:
            number += 1
            parts = Path(folder) / f"parts-{number}"
            for name, command in commands(options.data, parts, annotated).items():
                code, tries = -signal.SIGKILL, 0
                while code != 0:
                    tries += 1
                    limit = chance.uniform(0, 1.1 * usual[name]) if killed < options.kills and tries <= 3 else None
                    code, _, said = once(command, limit)
                    rows[name]["starts"] += 1
                    rows[name]["kills"] += code == -signal.SIGKILL
                    killed += code == -signal.SIGKILL
                    if code not in (0, -signal.SIGKILL):
                        # Export and import want an empty folder: what a killed one left is removed by hand.
                        rows[name]["refused"].append(said.replace(f"{folder}/", ""))
                        target = Path(command[command.index("--out") + 1])
                        assert name in ("export", "import"), f"{name}: {said}"
                        target.rename(target.with_name(f"{target.name}-left-{rows[name]['starts']}"))
            found = fingerprint(parts)
            found = {key: value for key, value in found.items() if "-left-" not in key}
            assert found == expected, sorted(set(found.items()) ^ set(expected.items()))
            print(killed, json.dumps({name: row["kills"] for name, row in rows.items()}), flush=True)
    print(write("kills", list(rows.values())))


if __name__ == "__main__":
    main()
