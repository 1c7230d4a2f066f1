"""The layers of the package: nothing imports upward, nothing imports in a circle, imports inside functions included."""

import ast
import graphlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "hintseg"
LAYERS = [
    {"errors", "version", "moved", "distributed", "memory_errors", "metrics", "boundary_metrics"},
    {"io"},
    {"config"},
    {"functional"},
    {"contrib"},
    {"recipes"},
    {"hints"},
    {"formats", "prepare", "simulate"},
    {"network"},
    {"pseudo_labels"},
    {"inference"},
    {"training"},
    {"instant"},
    {"api", "check"},
    {"apps", "__init__", "__main__"},
]
LAZY = {"hintseg", "hintseg.functional"}  # packages that load what they offer on first use
TENSORS_ONLY = {"functional", "errors"}  # what the mathematics may import


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path.read_text("utf-8") for path in SOURCE.rglob("*.py")}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def layer(module: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if room(module) in rooms)


def imports(text: str) -> set[str]:
    """Modules of the package that a module imports, at its top, in its functions, or by name."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hintseg":
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "hintseg"}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__") and str(node.args[0].value).startswith("hintseg"):
                found.add(node.args[0].value)
    return found


def faults(module: str, text: str) -> list[str]:
    found = []
    for imported in sorted(imports(text)):
        if layer(imported) > layer(module):
            found.append(f"{module} imports {imported}, which lies above it")
        if room(module) == "functional" and room(imported) not in TENSORS_ONLY:
            found.append(f"{module} imports {imported}: the mathematics knows tensors only")
    return found


@pytest.mark.parametrize("module", sorted(set(MODULES) - LAZY))
def test_nothing_imports_upward(module):
    assert faults(module, MODULES[module]) == []
    assert len(MODULES[module].splitlines()) <= 320


def test_nothing_imports_in_a_circle():
    graph = {module: imports(text) - {module} for module, text in MODULES.items() if module not in LAZY}
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(
    "line",
    [
        "from hintseg.training.loop import train_steps",
        "from hintseg.training import loop",
        "import hintseg.training.loop",
        "from hintseg import training",
        "import_module('hintseg.training.loop')",
        "def late():\n    from hintseg.training.loop import train_steps",
    ],
)
def test_an_import_upward_is_found_wherever_it_stands(line):
    assert faults("hintseg.network.embedder", line)
    assert not faults("hintseg.instant.fit", line.replace("from hintseg import training", ""))
