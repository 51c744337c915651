"""The frame of every HTML page, with images embedded in it.

A page is one file that opens from disk, without any address outside itself and, but for the audit's and the served
one, which are worked with, without a script; its content security policy holds browsers to that, whatever got into it.
The templates compute nothing: every figure they print is prepared in Python, and every plot is an inline SVG.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any, TypedDict

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from multitask.reporting.page_policy import page_policy
from multitask.reporting.text import count_text, interval_text, score_text

_LONG_PART = 20  # characters that stay on one line
_UNIT = re.compile(r"(?<=\d) (?=(?:px|pixels|min|h|s|[kMGT]?B)\b)|(?<=\d) (?=× ?\d)|(?<=\d ×) (?=\d)")


@dataclass(frozen=True)
class CaptionedImage:
    """An image to show: (H, W, 3) uint8 pixels and the words under it."""

    pixels: np.ndarray
    caption: str


UNKNOWN = "–"
"""In the name of a class that was given, a label that is not known."""


@dataclass(frozen=True)
class Mistake:
    """An image whose class was predicted wrongly: (H, W, 3) uint8 pixels; ``confidence`` is the wrong class's.

    In ``given`` a label may be ``UNKNOWN``.
    """

    pixels: np.ndarray
    image: str
    group: str
    given: str
    predicted: str
    confidence: float
    wrong_tasks: tuple[str, ...]


class EmbeddedImage(TypedDict):
    """An image inside a page: the address that holds its bytes, its size in pixels."""

    src: str
    width: int
    height: int


def render(template: str, **values: Any) -> str:
    """A template of this package as a page.

    A value that a template reads and that is not given is an error, not an empty place.
    """
    environment = _environment()
    return environment.get_template(template).render(**values, policy=page_policy(environment, template))


def policy_of(template: str) -> str:
    """The content security policy of a template's page."""
    return page_policy(_environment(), template)


def embedded(pixels: np.ndarray) -> EmbeddedImage:
    """A (H, W, 3) uint8 image inside the page."""
    assert pixels.ndim == 3, pixels.shape
    assert pixels.shape[2] == 3, pixels.shape
    assert pixels.dtype == np.uint8, pixels.dtype
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    source = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    return {"src": source, "width": pixels.shape[1], "height": pixels.shape[0]}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("multitask.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": score_text,
        "count": count_text,
        "interval": interval_text,
        "breaks": _breaks,
        "path_breaks": _path_breaks,
        "whole": _whole,
    }
    return environment


def _breaks(name: str) -> Markup:
    """A class name that breaks between its parts, and inside one only where the part itself is long."""
    parts = [part + "/" for part in name.split("/")]
    parts[-1] = parts[-1][:-1]
    kept = Markup("<span class=part>{}</span>")
    return Markup("<wbr>").join(part if len(part) > _LONG_PART else kept.format(part) for part in parts)


def _whole(text: str) -> str:
    """Words that break neither between a number and its unit nor within a size, as ``32 × 24 px``."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)


def _path_breaks(path: str) -> Markup:
    """A file's path that breaks where a reader would break it."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_-])", path))
