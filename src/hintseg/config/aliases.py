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
    "normalised_cut": "normalized_cut",
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
    given = dict(_flat(content))
    if strict and (missed := _missed(given)):
        raise ConfigError(f"{source}: there is no {missed[0]} any more: {GONE[missed[0]]}; leave it out.")
    if gone := [name for name in GONE if name in given]:
        for name in gone:
            del given[name]
        told = "; ".join(f"{name}: {GONE[name]}" for name in gone)
        _warn(f"{source}: ignored, since there is no such setting any more: {told}.")
    found: dict[str, Any] = {}
    for name, value in current_assignments(list(given.items()), source):
        *sections, key = name.split(".")
        place = found
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{source}: {name}: {section} is no section; leave its value out.")
        place[key] = value
    return found


def current_assignments(pairs: list[tuple[str, Any]], source: str) -> list[tuple[str, Any]]:
    """Settings as (name, value), with present names; one given by both its names is a ConfigError."""
    names: dict[str, str] = {}
    for name, _ in pairs:
        new = current_name(name)
        if (other := names.setdefault(new, name)) != name:
            old = other if other != new else name
            raise ConfigError(f"{source}: {old} is the old name of {new}; give {new} alone.")
    renamed = [(old, new) for new, old in names.items() if old != new]
    order = list(RENAMED)
    said = [f"{old} → {new}" for old, new in sorted(renamed, key=lambda pair: (*order, pair[0]).index(pair[0]))]
    found = []
    for name, value in pairs:
        new = current_name(name)
        if new == "inference.method" and isinstance(value, str) and value in METHODS:
            said.append(f"{new} {value} → {METHODS[value]}")
            value = METHODS[value]
        found.append((new, _parts(name, value)))
    if said:
        more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
        shown = ", ".join(said[:SHOWN])
        _warn(f"{source}: settings have new names ({shown}{more}); the old ones work for one more release.")
    return found


def gone_changes(settings: Mapping[str, Any]) -> Iterator[str]:
    """What a run had set that is gone, where that was another value than the one that stayed; a phrase each."""
    for name in _missed(settings):
        yield f"{name} was {settings[name]}, and {GONE[name]} in this version"


def _missed(settings: Mapping[str, Any]) -> list[str]:
    """Those that are gone and had another value than the one that stayed."""
    stayed = {"data.oversegmentation": "watershed", "completion.crf": settings.get("inference.crf", False)}
    return [name for name in GONE if settings.get(name, stayed[name]) != stayed[name]]


def _parts(name: str, value: Any) -> Any:
    """The value of a whole section, its settings by their present names."""
    if not isinstance(value, dict) or name not in RENAMED:
        return value
    return {current_name(f"{name}.{key}").rpartition(".")[2]: part for key, part in value.items()}


def _flat(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted name; an empty section counts as one."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


@cache
def _warn(sentence: str) -> None:
    log.warning("%s", sentence)
