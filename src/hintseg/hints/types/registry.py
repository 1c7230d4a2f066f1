"""Hint types by name, one line each, weakest first: what stands later is drawn over what stands before."""

from typing import Any

from hintseg.errors import ConfigError, unknown_name
from hintseg.hints.types.boxes import BOXES
from hintseg.hints.types.hint_type import HintType
from hintseg.hints.types.masks import MASKS
from hintseg.hints.types.points import POINTS
from hintseg.hints.types.scribbles import SCRIBBLES
from hintseg.hints.types.tags import TAGS

HINT_TYPES: dict[str, HintType[Any]] = {
    "tags": TAGS,
    "boxes": BOXES,
    "points": POINTS,
    "scribbles": SCRIBBLES,
    "masks": MASKS,
}


def with_label_maps() -> tuple[str, ...]:
    """Hint types that may come as an image a KEY, in a folder of their name."""
    return tuple(name for name, hint_type in HINT_TYPES.items() if hint_type.label_map)


def with_tables() -> tuple[str, ...]:
    """Hint types that may come in a table, NAME.json."""
    return tuple(name for name, hint_type in HINT_TYPES.items() if hint_type.parse)


def parse_hint_types(text: str | None) -> tuple[str, ...]:
    """`"points,scribbles"` → ("points", "scribbles"); None or "all" → every type. ConfigError: an unknown one."""
    if text is None or text == "all":
        return tuple(HINT_TYPES)
    if not isinstance(text, str):
        raise ConfigError(f"hint types are one text, such as 'points,scribbles', but this is {type(text).__name__}.")
    chosen: list[str] = []
    for word in text.split(","):
        matching = [
            name for name in HINT_TYPES if word.strip().lower() in (name, name.removesuffix("s").replace("boxe", "box"))
        ]
        if not matching:
            raise unknown_name("hint type", word.strip(), HINT_TYPES)
        chosen.extend(name for name in matching if name not in chosen)
    return tuple(chosen)
