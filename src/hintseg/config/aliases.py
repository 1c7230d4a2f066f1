"""Earlier names of settings, which work for one release: each is read as its present name, with one warning."""

import logging
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from hintseg.errors import ConfigError

RENAMED = {
    "network.width": "network.decoder_channels",
    "network.prototypes": "network.region_prototypes",
    "network.keep_statistics": "network.freeze_batchnorm",
    "data.batch": "data.batch_size",
    "data.crop": "data.crop_size",
    "data.scale": "data.scale_range",
    "data.colour": "data.color_jitter",
    "data.workers": "data.num_workers",
    "data.regions": "data.num_superpixels",
    "data.spread_regions": "label_propagation.superpixels",
    "segments.memory": "segments.memory_bank",
    "segments.pixels": "segments.max_pixels",
    "completion.balance": "completion.class_prior_power",
    "completion.walk": "completion.random_walk",
    "tags.border": "tags.boundary_prior",
    "tags.background_power": "tags.background_score_power",
    "stage_two": "self_training",
    "stage_two.kind": "self_training.mode",
    "stage_two.start": "self_training.start",
    "optimizer.rate": "optimizer.lr",
    "optimizer.backbone_rate": "optimizer.backbone_lr",
    "optimizer.bias_factor": "optimizer.bias_lr_mult",
    "optimizer.average": "optimizer.ema_decay",
}
TERMS = {
    "spread": "propagated_cross_entropy",
    "allowed": "candidate_classes",
    "completed": "pseudo_label_cross_entropy",
}
TERM_KEYS = {"balance": "class_weight_power"}
GONE = {
    "data.oversegmentation": "superpixels are watershed regions",
    "completion.crf": "inference.crf applies to training masks, too",
}
METHODS = {"retrieval": "knn", "both": "softmax+knn"}  # of inference
SHOWN = 3  # renamed settings that a warning about a file names

log = logging.getLogger("hintseg")


def current_name(name: str) -> str:
    """The present name of a setting, `section.key`; a present name stays as it is."""
    section, _, rest = name.partition(".")
    if section != "objective" or not rest:
        return RENAMED.get(name, name)
    term, dot, key = rest.partition(".")
    return f"objective.{TERMS.get(term, term)}{dot}{TERM_KEYS.get(key, key)}"


def current_choice(kind: str, name: str, table: Mapping[str, str]) -> str:
    """The present name of a choice, e.g. of `--objective`; an earlier one gives a warning."""
    if name in table:
        _warn(f"{kind} {name!r} is now called {table[name]!r}; the old name works for one more release.")
    return table.get(name, name)


def current_settings(content: object, source: str, strict: bool = True) -> object:
    """A recipe as JSON holds it, with present names; one warning names what was renamed.

    Args:
        source: names the recipe in the warning, and in errors.
        strict: refuse settings that are gone and had another value than the one that stayed; else they are left out.

    Raises:
        ConfigError: a setting is given by both its names, or is gone.
    """
    if not isinstance(content, dict):
        return content
    found: dict[str, Any] = {name: dict(part) if isinstance(part, dict) else part for name, part in content.items()}
    pairs = [pair for name in RENAMED if (pair := _move(found, name, RENAMED[name], source)) is not None]
    if gone := _without_gone(found, source, strict):
        _warn(f"{source}: ignored, since there is no such setting any more: {'; '.join(gone)}.")
    if found.get("stage_two") == {}:
        del found["stage_two"]
    if isinstance(terms := found.get("objective"), dict):
        for name in list(terms):
            if isinstance(terms[name], dict):
                terms[name] = dict(terms[name])
                moved = (_move(found, f"objective.{name}.{old}", f"objective.{name}.{new}", source)
                         for old, new in TERM_KEYS.items())  # fmt: skip
                pairs += [pair for pair in moved if pair is not None]
        moved = (_move(found, f"objective.{old}", f"objective.{new}", source) for old, new in TERMS.items())
        pairs += [pair for pair in moved if pair is not None]
    inference = found.get("inference")
    if isinstance(inference, dict) and isinstance(method := inference.get("method"), str) and method in METHODS:
        inference["method"] = METHODS[method]
        pairs.append(f"inference.method {method} → {METHODS[method]}")
    warn_of_names(source, pairs)
    return found


def current_assignments(pairs: list[tuple[str, Any]], source: str) -> list[tuple[str, Any]]:
    """Settings as (name, value), with present names; one warning names what was renamed.

    Raises:
        ConfigError: a setting is given by both its names.
    """
    given = {name for name, _ in pairs}
    renamed = {name: current_name(name) for name in given if current_name(name) != name}
    for old, new in sorted(renamed.items()):
        if new in given:
            raise _twice(source, old, new)
    warn_of_names(source, [f"{old} → {new}" for old, new in sorted(renamed.items())])
    return [(renamed.get(name, name), _parts(name, value)) for name, value in pairs]


def gone_changes(settings: Mapping[str, Any]) -> Iterator[str]:
    """What a run had set that is gone, where that was another value than the one that stayed; a phrase each."""
    usual = {"data.oversegmentation": "watershed", "completion.crf": settings.get("inference.crf")}
    for name, value in usual.items():
        if settings.get(name, value) != value:
            yield f"{name} was {settings[name]}, and {GONE[name]} in this version"


def _parts(name: str, value: Any) -> Any:
    """The value of a whole section, its settings by their present names."""
    if not isinstance(value, dict) or name not in RENAMED:
        return value
    return {current_name(f"{name}.{key}").rpartition(".")[2]: part for key, part in value.items()}


def warn_of_names(source: str, renamed: list[str]) -> None:
    """Once a process: "old → new", three of them at most."""
    if renamed:
        more = f" and {len(renamed) - SHOWN} more" if len(renamed) > SHOWN else ""
        _warn(
            f"{source}: settings have new names ({', '.join(renamed[:SHOWN])}{more}); the old ones work for one more "
            "release."
        )


@cache
def _warn(sentence: str) -> None:
    log.warning("%s", sentence)


def _move(content: dict[str, Any], old: str, new: str, source: str) -> str | None:
    """Move a value to its present place; None where there is none."""
    *above, key = old.split(".")
    here = _section(content, above, make=False)
    if here is None or key not in here or (old == "stage_two" and isinstance(here[key], dict)):
        return None
    *above, name = new.split(".")
    there = _section(content, above, make=True)
    if there is None:
        return None
    if name in there:
        raise _twice(source, old, new)
    there[name] = here.pop(key)
    return f"{old} → {new}"


def _without_gone(content: dict[str, Any], source: str, strict: bool) -> list[str]:
    """Leave out settings that are gone, and say what decides in their place."""
    data, completion, inference = (content.get(name) for name in ("data", "completion", "inference"))
    crf = inference.get("crf", False) if isinstance(inference, dict) else False
    usual: dict[str, Any] = {"data.oversegmentation": "watershed", "completion.crf": crf}
    told = []
    for name, section in (("data.oversegmentation", data), ("completion.crf", completion)):
        key = name.partition(".")[2]
        if isinstance(section, dict) and key in section:
            if strict and section[key] != usual[name]:
                raise ConfigError(f"{source}: there is no {name} any more: {GONE[name]}; leave it out.")
            del section[key]
            told.append(f"{name}: {GONE[name]}")
    return told


def _section(content: dict[str, Any], names: list[str], make: bool) -> dict[str, Any] | None:
    place: Any = content
    for name in names:
        if make and name not in place:
            place[name] = {}
        place = place.get(name)
        if not isinstance(place, dict):
            return None
    return place


def _twice(source: str, old: str, new: str) -> ConfigError:
    return ConfigError(f"{source}: {old} is the old name of {new}; give {new} alone.")
