"""Label Studio's labeling page: which tag takes masks, which field of a task holds its image, and masks as results."""

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.label_studio import brush_result
from hintseg.formats.outlines import outlines
from hintseg.io.images import IMAGE_SUFFIXES
from hintseg.io.reading import parse_xml

LARGEST_PAGE = 2**20  # letters
SMALLEST_PART = 16  # pixels of a polygon
SIGNATURES = ("x-amz-signature", "x-goog-signature", "signature", "sig")
SIGNING = ("x-amz-", "x-goog-")
SIGNED = {
    "signature", "expires", "awsaccesskeyid", "googleaccessid", "key-pair-id", "policy",  # S3, Google, CloudFront
    "sig", "se", "st", "sp", "sv", "sr", "spr", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv",  # Azure
}  # fmt: skip


def control_tags(config: str) -> list[dict[str, Any]]:
    """Where predictions go: name, image, its field, kind and labels of a brush or polygon tool, one for every image.

    Raises:
        InputError: not XML, or the page has neither.
    """
    root = _parsed(config)
    fields = _fields(root)
    found: dict[str, dict[str, Any]] = {}
    for kind in ("BrushLabels", "PolygonLabels"):
        for element in root.iter(kind):
            to_name = str(element.get("toName"))
            found.setdefault(to_name, {
                "from_name": element.get("name"), "to_name": to_name, "kind": kind.lower(),
                "field": fields.get(to_name), "labels": {str(label.get("value")) for label in element.iter("Label")},
            })  # fmt: skip
    if not found:
        raise InputError("the labeling configuration has neither BrushLabels nor PolygonLabels to put masks into.")
    return list(found.values())


def control_tag(config: str) -> dict[str, Any]:
    """The first of `control_tags`."""
    return control_tags(config)[0]


def image_fields(config: str) -> dict[str, str]:
    """Name of an image tag → the field of a task's data that it shows.

    Raises:
        InputError: too long, or not XML.
    """
    return _fields(_parsed(config))


def _parsed(config: str) -> Element:
    if len(config) > LARGEST_PAGE:
        raise InputError(f"the labeling configuration is longer than {LARGEST_PAGE} letters.")
    return parse_xml(config.encode("utf-8", "replace"), "the labeling configuration")


def _fields(root: Element) -> dict[str, str]:
    return {
        str(element.get("name")): str(element.get("value") or element.get("valueList") or "").strip().lstrip("$")
        for element in root.iter("Image")
    }


def image_address(task: dict[str, Any], field: str | None) -> str:
    """The address of a task's image.

    Args:
        field: that the page shows; None: the only one that can be an image.

    Raises:
        InputError: there is none, or several could be it.
    """
    data, named = task.get("data"), f"task {task.get('id')!r:.40}"
    if not isinstance(data, dict):
        raise InputError(f"{named}: its 'data' must be an object.")
    if field is not None:
        value = data.get(field)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{named}: the field {field!r:.40} of its data is no address of one image.")
        return value
    texts = [value for value in data.values() if isinstance(value, str)]
    images = [value for value in texts if image_suffix(value)]
    images = images or [value for value in texts if value.startswith(("/", "http://", "https://"))]
    if len(images) != 1:
        raise InputError(f"{named}: its data name {len(images)} images; the labeling page must say which is shown.")
    return images[0]


def annotations_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Annotations that have a list of results; what else a task holds is the import's to refuse."""
    found = task.get("annotations")
    ones = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [
        {**one, "result": [part for part in one["result"] if isinstance(part, dict)]}
        for one in ones
        if isinstance(one.get("result"), list)
    ]


def image_suffix(address: str) -> str | None:
    """Of an image address: the path's, or that of a file its query names; None where it has none or is malformed."""
    try:
        parts = urlsplit(address)
        candidates = [parts.path, *(value for _, value in parse_qsl(parts.query))]
    except ValueError:
        return None
    suffixes = (PurePosixPath(unquote(candidate)).suffix.lower() for candidate in candidates)
    return next((suffix for suffix in suffixes if suffix in IMAGE_SUFFIXES), None)


def unsigned(address: str) -> str:
    """The address without what a store adds to let one in for a while: the same image has the same."""
    try:
        parts = urlsplit(address)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return address
    if not any(name.lower() in SIGNATURES for name, _ in pairs):
        return address
    kept = [(k, v) for k, v in pairs if k.lower() not in SIGNED and not k.lower().startswith(SIGNING)]
    return urlunsplit(parts._replace(query=urlencode(kept, errors="replace"), fragment=""))


def regions(mask: NDArray[np.bool_], name: str, control: dict[str, Any]) -> list[dict[str, Any]]:
    """A class's mask as Label Studio's results: one brush region, or a polygon round every part, its holes cut out.

    Polygons are simplified to few corners, which a person can move; smaller parts are left out.
    """
    named = {"from_name": control["from_name"], "to_name": control["to_name"]}
    if control["kind"] == "brushlabels":
        return [brush_result(mask, name) | named]
    height, width = mask.shape
    found = []
    for corners, pixels in outlines(mask, tolerance=1.0):
        if pixels >= SMALLEST_PART:
            points = (corners * [100 / width, 100 / height]).round(4).tolist()
            found.append(
                named
                | {"type": "polygonlabels", "original_width": width, "original_height": height, "image_rotation": 0}
                | {"value": {"points": points, "closed": True, "polygonlabels": [name]}}
            )
    return found
