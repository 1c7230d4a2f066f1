"""Recipes read from files and changed by assignments; what is wrong with one is a ConfigError that names its place."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hintseg.config.aliases import current_assignments, current_settings
from hintseg.config.schema import Recipe
from hintseg.errors import ConfigError, InputError
from hintseg.io.reading import parse_json, read_text
from hintseg.io.yaml_text import parse_yaml


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from JSON, or YAML where the file's name ends so."""
    parse = parse_yaml if path.suffix.lower() in (".yaml", ".yml") else parse_json
    try:
        content = parse(read_text(path), str(path))
    except InputError as error:
        raise ConfigError(str(error)) from error
    return validated(content, str(path))


def override(recipe: Recipe, assignments: Iterable[str]) -> Recipe:
    """Apply `section.key=value` assignments; the value is JSON, or a bare word."""
    content = recipe.everything()
    for name, value in current_assignments([_parsed(assignment) for assignment in assignments], "--set"):
        *sections, key = name.split(".")
        place = content
        for depth, section in enumerate(sections):
            if sections[0] == "objective" and depth == 1:
                place.setdefault(section, {})
            if not isinstance(place, dict) or section not in place:
                known = ", ".join(place) if isinstance(place, dict) else "nothing below"
                raise ConfigError(f"--set {name}: there is no {section!r}; known: {known}.")
            place = place[section]
        if not isinstance(place, dict):
            raise ConfigError(f"--set {name}: {'.'.join(sections)} has no parts.")
        place[key] = value
    return validated(content, "--set")


def _parsed(assignment: str) -> tuple[str, Any]:
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {assignment!r}: write section.key=value.")
    try:
        return name.strip(), json.loads(text)
    except json.JSONDecodeError:
        return name.strip(), text


def validated(content: object, source: str) -> Recipe:
    """A recipe of what JSON holds; `source` names it in errors."""
    try:
        return Recipe.model_validate(current_settings(content, source))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the configuration"
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{source}: {place}: there is no such setting.") from error
        raise ConfigError(f"{source}: {place}: {first['msg'].lower()} (got {first['input']!r:.100}).") from error
