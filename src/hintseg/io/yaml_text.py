"""YAML text; apart from `reading`, because few commands need its parser, which takes a while to load."""

from typing import Any

import yaml

from hintseg.errors import InputError
from hintseg.io.reading import require_unique

MOST_BRACKETS = 2000  # in a YAML file; recipes and lists of classes have a few
MOST_ALIASES = 20  # which nest: a few more can stand for more than fits into memory


class _UniqueKeys(yaml.constructor.BaseConstructor):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        require_unique(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        return super().construct_mapping(node, deep)


class _Values(_UniqueKeys, yaml.SafeLoader):
    pass


class _Texts(_UniqueKeys, yaml.BaseLoader):
    pass


def parse_yaml(text: str, where: str, *, typed: bool = True) -> Any:
    """YAML in which every key stands once; InputError: any other.

    Args:
        where: the file's name, for the error.
        typed: whether `no` and 1 are a truth value and a number; False: every value is text, as it is written.
    """
    if text.count("[") + text.count("{") > MOST_BRACKETS:  # the parser's time grows with the square of their depth
        raise InputError(f"{where}: is not valid YAML (nested too deeply).")
    try:
        if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)) > MOST_ALIASES:
            raise ValueError(f"more than {MOST_ALIASES} aliases (*name); write the values out")
        return yaml.load(text, _Values if typed else _Texts)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{where}: is not valid YAML ({' '.join(str(error).split())[:200]}).") from error
