"""A recipe as a table: every setting with its value, its default and what it is for."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from hintseg.config.reads import usual_classifier
from hintseg.config.schema import Recipe, TermConfig, default_settings


class Setting(NamedTuple):
    """One setting of a recipe.

    Attributes:
        name: section.key, as `--set` takes it.
        value: in this recipe.
        default: where a recipe says nothing; None also where it has no default.
        purpose: what it is for, a sentence.
    """

    name: str
    value: Any
    default: Any
    purpose: str


def explain_settings(recipe: Recipe, everything: bool = False) -> list[Setting]:
    """The settings that a recipe reads, or all of them."""
    content = recipe.everything() if everything else recipe.model_dump(mode="json")
    return [Setting(name, value, _default(name, recipe), _purpose(name)) for name, value in leaves(content)]


def leaves(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of nested sections by dotted name."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield above + name, value


def _default(name: str, recipe: Recipe) -> Any:
    section, _, key = name.rpartition(".")
    if name == "network.classifier":
        return usual_classifier(recipe.network.decoder)
    if section == "" or (section in default_settings() and default_settings()[section]):
        return (default_settings()[section] if section else default_settings())[key]
    return _model_of(section).model_fields[key].default


def _purpose(name: str) -> str:
    section, _, key = name.rpartition(".")
    return _model_of(section).model_fields[key].description or ""


def _model_of(section: str) -> type[BaseModel]:
    if section == "":
        return Recipe
    if section.startswith("objective."):
        return TermConfig
    annotation = Recipe.model_fields[section].annotation
    kinds = (annotation, *getattr(annotation, "__args__", ()))
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
