"""YAML, as configs and study files are written: 1.2's numbers and words, no key twice, errors in one line."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from multitask.errors import UserError, kind_of, quoted
from multitask.utils.files import check_regular

MAX_CHARACTERS = 4_000_000
"""Of a file; the largest real corrections file is a tenth of it."""
MAX_DEPTH = 100
"""Of sections and lists within each other."""
MAX_REPEATED = 100_000
"""Values that aliases repeat, all in all; a few lines of aliases of aliases could else stand for billions."""

_STANDARD = "tag:yaml.org,2002:"
_KINDS: dict[type[yaml.Node], tuple[str, tuple[str, ...]]] = {
    yaml.ScalarNode: ("value", ("null", "bool", "int", "float", "str", "merge")),
    yaml.SequenceNode: ("list", ("seq",)),
    yaml.MappingNode: ("section", ("map",)),
}
"""What a node is called, and what a tag (``!!int``) may call it."""


def _error(reason: str, place: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = place.start_mark
    return yaml.MarkedYAMLError(problem=reason, problem_mark=mark)


def _check_tag(node: yaml.Node) -> None:
    if isinstance(node, yaml.ScalarNode) and any("\ud800" <= sign <= "\udfff" for sign in node.value):
        raise _error("holds one half of a surrogate pair, which is no character", node)
    kind, names = _KINDS[type(node)]
    if node.tag not in {_STANDARD + name for name in names}:
        tag = node.tag.replace(_STANDARD, "!!")
        raise _error(f"could not determine what a {kind} is as {quoted(tag)[1:-1]}; leave the tag out", node)


class _Loader(yaml.SafeLoader):
    """YAML with 1.2's numbers and booleans: ``1e-3`` is a number, ``no`` and ``on`` are words; no key twice.

    What it gives is finite: no deeper than ``MAX_DEPTH``, without circles, and of little that is repeated.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._repeated = 0
        self._sizes: dict[int, int] = {}  # of the nodes that are complete: values in them, aliases written out

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if self._depth >= MAX_DEPTH:
            raise _error(f"nested more than {MAX_DEPTH} deep", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        assert node is not None
        if isinstance(event, yaml.AliasEvent):
            self._note_alias(node, event)
            return node
        _check_tag(node)
        inner: Iterable[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else ()
        if isinstance(node, yaml.MappingNode):
            inner = itertools.chain.from_iterable(node.value)
        self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in inner)
        return node

    def _note_alias(self, node: yaml.Node, event: yaml.AliasEvent) -> None:
        if id(node) not in self._sizes:
            raise _error(f"the alias *{event.anchor} stands within what it names", event)
        self._repeated += self._sizes[id(node)]
        if self._repeated > MAX_REPEATED:
            raise _error(f"aliases repeat more than {MAX_REPEATED:,} values", event)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError):  # what PyYAML's constructors make of ``!!int x`` and ``!!bool x``
            name = node.tag.removeprefix(_STANDARD)
            raise _error(f"cannot be read as {name}: {quoted(node.value)}", node) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # which the base class refuses
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {quoted(key)} stands twice", key_node.start_mark
                )
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
        UserError: the text is no YAML, or beyond a limit; one line with the place.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"{where}: must have at most {MAX_CHARACTERS:,} characters")
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{where}{place}: not YAML: {reason}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        UserError: the file cannot be read, is no YAML, or holds something else.
    """
    check_regular(path)
    try:
        if path.is_fifo():  # which nobody may ever write to
            raise UserError(f"{path}: cannot be read: is a pipe; name a file")
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise UserError(f"{path}: must hold keys and values, found {kind_of(data)}")
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


def flow_yaml(value: Any) -> str:
    """Plain data on one line, as it may stand behind a key."""
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=math.inf
    )
    return text.removesuffix("\n").removesuffix("\n...")
