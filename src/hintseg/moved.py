"""Modules under the names they had before 0.1.0 was laid out by layers: for one release, with one warning each."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_INTO = {
    "io": "writing reading listing samples pillow rasters images georeference class_list storage",
    "functional": "segments losses relations propagation",
    "apps": "report studio cli demo compare",
}
MOVED = {f"hintseg.{name}": f"hintseg.{room}.{name}" for room, names in _INTO.items() for name in names.split()} | {
    "hintseg.pairwise": "hintseg.functional.affinity",
    "hintseg.bulk": "hintseg.apps.batch_inference",
    "hintseg.bulk.photographs": "hintseg.apps.batch_inference.input_images",
    "hintseg.studio.photographs": "hintseg.apps.studio.task_images",
    "hintseg.exhausted": "hintseg.memory_errors",
    "hintseg.ranks": "hintseg.distributed",
    "hintseg.targets": "hintseg.pseudo_labels",
    "hintseg.targets.activation": "hintseg.pseudo_labels.cam",
    "hintseg.targets.boxes": "hintseg.pseudo_labels.grabcut",
    "hintseg.inference.completion": "hintseg.pseudo_labels.complete",
    "hintseg.inference.untrained": "hintseg.pseudo_labels.propagate",
    "hintseg.inference.views": "hintseg.network.tta",
    "hintseg.inference.description": "hintseg.inference.run_config",
    "hintseg.hints.check": "hintseg.check",
    "hintseg.hints.pictures": "hintseg.hints.label_maps",
    "hintseg.hints.description": "hintseg.hints.dataset_json",
    "hintseg.hints.simulate": "hintseg.simulate.hints",
    "hintseg.hints.simulate_dataset": "hintseg.simulate.dataset",
    "hintseg.hints.forms": "hintseg.hints.types",
    "hintseg.hints.forms.form": "hintseg.hints.types.hint_type",
    "hintseg.hints.forms.by_name": "hintseg.hints.types.registry",
    "hintseg.formats.by_name": "hintseg.formats.registry",
    "hintseg.formats.exported": "hintseg.formats.writer",
    "hintseg.formats.imported": "hintseg.formats.reader",
    "hintseg.recipes.by_name": "hintseg.recipes.registry",
    "hintseg.relations.by_name": "hintseg.functional.relations.registry",
    "hintseg.segments.oversegment": "hintseg.functional.segments.superpixels",
    "hintseg.segments.memory": "hintseg.functional.segments.memory_bank",
    "hintseg.losses.normalised_cut": "hintseg.functional.losses.normalized_cut",
    "hintseg.propagation.normalised_cut": "hintseg.functional.propagation.normalized_cut",
    "hintseg.demo.photographs": "hintseg.apps.demo.images",
    "hintseg.losses.dense_crf": "hintseg.functional.losses.potts",
    "hintseg.losses.grid_potts": "hintseg.functional.losses.potts",
    "hintseg.losses.allowed": "hintseg.functional.losses.candidate_classes",
    "hintseg.network.exported": "hintseg.network.onnx",
    "hintseg.network.packaged": "hintseg.network.weights",
    "hintseg.network.fitting": "hintseg.network.weights",
    "hintseg.inference.refine": "hintseg.inference.prediction",
    "hintseg.network.folded": "hintseg.network.conv_bn_fusion",
    "hintseg.training.terms": "hintseg.training.loss_registry",
    "hintseg.training.completed": "hintseg.training.self_training",
    "hintseg.training.tags": "hintseg.training.tag_classifier",
}
RENAMED = {
    "find_photographs": "find_images",
    "evaluate_ways": "evaluate_configs",
    "normalised_cut": "normalized_cut",
    "reduced": "resize_longest_side",
    "repeated": "resize_nearest",
    "hints_over": "draw_hints",
    "FORMS": "HINT_TYPES",
    "read_picture": "decode_image",
    "HintForm": "HintType",
    "parse_forms": "parse_hint_types",
    "oversegment": "find_superpixels",
    "RunDescription": "RunConfig",
    "ExportedEmbedder": "OnnxEmbedder",
    "complete_untrained": "propagate_without_training",
    "View": "BandSelection",
}


def place_of(name: str) -> str | None:
    """Where a module lies now whose name, or whose package's, is an earlier one; None of a name that is not."""
    if name in MOVED:
        return MOVED[name]
    package, dot, module = name.rpartition(".")
    if not dot or package == "hintseg":
        return None
    found = place_of(package)
    return None if found is None else f"{found}.{module}"


class _Earlier(MetaPathFinder, Loader):
    """Finds a module under its earlier name."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = place_of(name) if name.startswith("hintseg.") else None
        return None if place is None else ModuleSpec(name, self, loader_state=place, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is None:
            raise ImportError(module.__name__)
        found = import_module(spec.loader_state)
        warnings.warn(f"{module.__name__} is {found.__name__} now", FutureWarning, stacklevel=2)
        names = {name: value for name, value in vars(found).items() if not name.startswith("__")}
        old = {earlier: names[now] for earlier, now in RENAMED.items() if now in names}
        module.__dict__.update(old | names)


def install() -> None:
    """Let earlier names be imported."""
    if not any(isinstance(finder, _Earlier) for finder in sys.meta_path):
        sys.meta_path.append(_Earlier())
