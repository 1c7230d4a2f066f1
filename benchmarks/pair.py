"""Two training processes side by side against one alone, with GNU OpenMP's own spinning and with hintseg's."""

import argparse
import os
import statistics
import subprocess
import sys
import time

from benchmarks.record import write

SETTINGS = {"hintseg": {"GOMP_SPINCOUNT": "500"}, "default": {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}}


def seconds(count: int, settings: dict[str, str], steps: int) -> float:
    """Until `count` processes that each train some steps have all ended."""
    command = [sys.executable, "-m", "benchmarks.speed", "--objective", "recipe", "--steps", str(steps)]
    started = time.perf_counter()
    running = [
        subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL) for _ in range(count)
    ]
    for process in running:
        if process.wait() != 0:
            raise SystemExit("a process failed")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for name, settings in SETTINGS.items():
        turns = [[seconds(count, settings, options.steps) for count in (1, 2)] for _ in range(options.repeats)]
        alone, pair = (statistics.median(took) for took in zip(*turns, strict=True))
        rows.append({"spinning": name, "seconds": alone, "seconds_of_two": pair, "ratio": pair / alone})
        print(rows[-1], flush=True)
    print(write("pair", rows))


if __name__ == "__main__":
    main()
