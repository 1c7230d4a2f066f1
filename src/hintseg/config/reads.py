"""Which settings a recipe reads: only these are shown and written in a recipe file.

A setting that has another value than its default is always shown, so that a recipe file gives back its recipe.
"""

from collections.abc import Iterator
from typing import Any

RELATIONSHIPS = ("similarity", "annotation", "cooccurrence", "affinity")
OF_A_RUN = ("seed", "checkpoint_every", "data.num_workers")  # they say how a run goes, not what it trains
WITHOUT_EFFECT = ("network.classifier", "optimizer.bias_lr_mult")  # at what is usual, and at 1


def settings_read(content: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A recipe's settings without those that have their default and change nothing.

    They are not read, are switched off, follow from another setting, or say how a run goes.

    Args:
        content: all settings.
        defaults: of all settings.
    """
    left_out = {*OF_A_RUN, *WITHOUT_EFFECT, *_unread(content)}
    found: dict[str, Any] = {}
    for name, value in content.items():
        if name == "objective" or not isinstance(value, dict):
            if not (_same(value, defaults[name]) and (name in left_out or not value)):
                found[name] = value
            continue
        usual = defaults[name] or {}  # the section "instant" has no default
        if name == "network":
            usual = {**usual, "classifier": usual_classifier(value["decoder"])}
        kept = {
            key: one
            for key, one in value.items()
            if key not in usual
            or not _same(one, usual[key])
            or not (name in left_out or f"{name}.{key}" in left_out or not one)
        }
        if kept or name not in left_out:
            found[name] = kept
    return {name: value for name, value in found.items() if value != {} or defaults[name] is None}


def usual_classifier(decoder: str) -> str:
    """The classifier that stands on a decoder unless a recipe says otherwise."""
    return "hidden" if decoder == "none" else "joint"


def _unread(content: dict[str, Any]) -> Iterator[str]:
    terms = {name for name, term in content["objective"].items() if term.get("weight", 1.0) > 0}
    instant = content["instant"] is not None
    if instant and not terms:  # no network is trained
        yield from ("iterations", "optimizer", "self_training", "network.freeze_stride", "network.freeze_batchnorm")
        yield "network.dropout"
        yield from (f"data.{key}" for key in ("batch_size", "crop_size", "scale_range", "mirror", "color_jitter"))
    if not terms & set(RELATIONSHIPS):
        yield from ("segments.stride", "segments.memory_bank", "segments.max_pixels", "data.num_superpixels")
    if not (instant or "propagated_cross_entropy" in terms):
        yield "label_propagation"
    if instant:  # the last two locate tagged classes, and are seldom changed
        yield from (f"tags.{key}" for key in ("iterations", "background_score_power", "boundary_prior"))
        if not terms & {"tags", "regions"}:
            yield "tags.pooling"
    if content["network"]["decoder"] == "none":
        yield "network.decoder_channels"
    if not content["inference"]["crf"]:
        yield "inference.crf_stride"


def _same(one: Any, other: Any) -> bool:
    return bool((list(one) if isinstance(one, tuple) else one) == other)
