"""Writes the licence table of what hintseg needs: docs/licences.py PIP_LICENSES > docs/reference/licences.md."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path


def names(requirements: list[str]) -> list[str]:
    """Of requirements, without their versions."""
    return [re.match(r"[\w.-]+", requirement).group() for requirement in requirements]


project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
extras = project["optional-dependencies"]
wanted = dict.fromkeys(names(project["dependencies"]), "always")
for extra in ("studio", "onnx", "geo", "s3", "ray", "tensorboard"):
    for name in names(extras[extra]):
        wanted.setdefault(name, f"`{extra}`")
command = [sys.argv[1], "--format=json", "--with-urls", "--packages", *wanted]
found = {row["Name"].lower(): row for row in json.loads(subprocess.check_output(command))}
print("# Licences\n")
print("What hintseg needs, and with which extra. hintseg itself is under the MIT licence. Made by `make licences`.\n")
print("| package | licence | needed |\n|---|---|---|")
for name, when in sorted(wanted.items()):
    if row := found.get(name.lower()):
        licence = row["License"].splitlines()[0].replace("|", "/")
        licence = licence if len(licence) < 60 else licence[:57] + "…"
        print(f"| [{row['Name']}]({row['URL']}) | {licence} | {when} |")
    else:
        print(f"| {name} | not installed when this was made | {when} |")
