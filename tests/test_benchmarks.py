"""Result files say where they come from, and the harness measures what it says."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_name_command_commit_and_machine(path):
    content = json.loads(path.read_text("utf-8"))
    assert content["command"].startswith("python -m benchmarks.")
    assert content["commit"]
    assert {"processor", "cores", "threads", "torch", "device"} <= set(content["machine"])
    assert content["rows"]
    for row in content["rows"]:
        assert "seconds" in row or "seed" in row


def test_the_documented_tables_quote_the_results():
    page = (ROOT / "docs" / "explanation" / "benchmarks.md").read_text("utf-8")
    for path in RESULTS:
        assert path.name in page, f"{path.name} is not shown in the docs"
