"""Forms of hints by name, one line each, weakest first: what stands later is drawn over what stands before."""

from typing import Any

from hintseg.errors import unknown_name
from hintseg.hints.forms.boxes import BOXES
from hintseg.hints.forms.form import HintForm
from hintseg.hints.forms.masks import MASKS
from hintseg.hints.forms.points import POINTS
from hintseg.hints.forms.scribbles import SCRIBBLES
from hintseg.hints.forms.tags import TAGS

FORMS: dict[str, HintForm[Any]] = {
    "tags": TAGS,
    "boxes": BOXES,
    "points": POINTS,
    "scribbles": SCRIBBLES,
    "masks": MASKS,
}


def with_label_maps() -> tuple[str, ...]:
    """Hint types that may come as an image a KEY, in a folder of their name."""
    return tuple(name for name, form in FORMS.items() if form.label_map)


def with_tables() -> tuple[str, ...]:
    """Hint types that may come in a table, NAME.json."""
    return tuple(name for name, form in FORMS.items() if form.parse)


def parse_forms(text: str | None) -> tuple[str, ...]:
    """`"points,scribbles"` → ("points", "scribbles"); None or "all" → every form. ConfigError: an unknown one."""
    if text is None or text == "all":
        return tuple(FORMS)
    chosen: list[str] = []
    for word in text.split(","):
        matching = [
            form for form in FORMS if word.strip().lower() in (form, form.removesuffix("s").replace("boxe", "box"))
        ]
        if not matching:
            raise unknown_name("hint type", word.strip(), FORMS)
        chosen.extend(form for form in matching if form not in chosen)
    return tuple(chosen)
