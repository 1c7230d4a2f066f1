"""Configuration: `schema` says what can be set, `load` reads it, `aliases` knows earlier names."""

from importlib import import_module
from typing import Any

_LOAD = ("load_recipe", "override", "validated")


def __getattr__(name: str) -> Any:
    """What this was as one module, for one release."""
    if name.startswith("_"):
        raise AttributeError(name)
    found: Any = getattr(import_module(f"hintseg.config.{'load' if name in _LOAD else 'schema'}"), name, None)
    if found is None:
        raise AttributeError(f"module 'hintseg.config' has no attribute {name!r}")
    return found
