"""The content security policy of a page: nothing from outside, and no script or style sheet but the page's own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import jinja2
from jinja2 import meta

_BLOCK = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
_REST = (
    "default-src 'none'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
)
_ASKS_SERVER = ("serve.html",)
"""Templates whose pages ask the server that they come from."""


def page_policy(environment: jinja2.Environment, template: str) -> str:
    """What a page of a template may do, as the ``content`` of its ``<meta http-equiv>``.

    A script or style sheet runs if it is, to the byte, one that stands in the template itself or in one that it is made
    of. The hashes are taken there and not from the finished page, so that one which got into a page with a name or a
    message is none of these.

    Style attributes stay allowed: every element of a plot has some, and they can neither run anything nor, under this
    policy, load anything. As ``style-src-elem`` goes before ``style-src`` this opens nothing for style sheets; browsers
    that do not know it (from before 2023) allow these too.
    """
    found: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _own_blocks(environment, template):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        found[kind].append(f"'sha256-{digest}'")
    styles, scripts = (" ".join(found[kind]) or "'none'" for kind in ("style", "script"))
    sources = (f"script-src {scripts}", "style-src 'unsafe-inline'", f"style-src-elem {styles}")
    connects = ("connect-src 'self'",) if template in _ASKS_SERVER else ()
    return "; ".join((*_REST, *sources, *connects))


def _own_blocks(environment: jinja2.Environment, template: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each script and style sheet of a template and of those that it is made of."""
    assert environment.loader is not None
    open_, seen = [template], set()
    while open_:
        name = open_.pop(0)
        if name in seen:
            continue
        seen.add(name)
        source, _, _ = environment.loader.get_source(environment, name)
        for kind, text in _BLOCK.findall(source):
            assert not re.search(r"\{[{%#]", text), f"{name}: a {kind} whose text depends on values has no fixed hash"
            yield kind, text
        open_ += [each for each in meta.find_referenced_templates(environment.parse(source)) if each is not None]
