"""YAML, as configs and study files are written: 1.2's numbers and words, no key twice, errors in one line."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from multitask.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML with 1.2's numbers and booleans: ``1e-3`` is a number, ``no`` and ``on`` are words; no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # which the base class refuses
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """``<<`` replaced by what it merges, each key once: PyYAML 6.0.4 tells keys that stand twice by the identity of
        their texts, which letters share, and would then keep the value that is overridden."""
        merges = any(key_node.tag == "tag:yaml.org,2002:merge" for key_node, _ in node.value)
        super().flatten_mapping(node)
        if merges:
            last = {
                (key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)): (key, value)
                for key, value in node.value
            }
            node.value = list(last.values())


_RESOLVERS = [
    ("float", r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf)|\.(nan|NaN)", "-+0123456789."),
    ("int", r"[-+]?(0|[1-9]\d*)", "-+0123456789"),  # 000020 is somebody's id, not a number in base eight
    ("bool", r"true|True|false|False", "tTfF"),
]


def _use_yaml_1_2(loader_or_dumper: Any) -> None:
    # 1.2 knows no dates, and no value that is "=".
    replaced = {f"tag:yaml.org,2002:{name}" for name in (*(name for name, _, _ in _RESOLVERS), "timestamp", "value")}
    loader_or_dumper.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rows if tag not in replaced]
        for first, rows in loader_or_dumper.yaml_implicit_resolvers.items()
    }
    for name, pattern, first in _RESOLVERS:
        loader_or_dumper.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"^({pattern})$"), list(first))


_use_yaml_1_2(_Loader)


def parse_yaml(text: str, where: str) -> Any:
    """YAML text as plain data.

    Raises:
        UserError: the text is no YAML; one line with the place.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an integer of thousands of digits
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{where}{place}: not YAML: {reason}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        UserError: the file cannot be read, is no YAML, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise UserError(f"{path}: must hold keys and values, found {type(data).__name__}")
    return data


class _Dumper(yaml.SafeDumper):
    pass


_use_yaml_1_2(_Dumper)
_Dumper.add_representer(
    float, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", _float_text(value))
)
_Dumper.add_multi_representer(str, lambda dumper, value: dumper.represent_str(str(value)))


def _float_text(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    return repr(value) if math.isfinite(value) else (".inf" if value > 0 else "-.inf")


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Plain data as YAML in the order given; what it writes, ``read_yaml`` reads back as the same."""
    return yaml.dump(
        dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
