"""What every plot of a page must be, whatever it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import pytest

from multitask.reporting.svg import INK, PAPER, SCALE, SMALL_PX, WIDTH_PX


@pytest.fixture
def check_plot() -> Callable[..., None]:
    """Checks that what ``draw(key=...)`` gives can stand among others in a page."""

    def check(draw: Callable[..., str]) -> None:
        before = dict(matplotlib.rcParams)
        svg = draw(key="k1")
        assert svg == draw(key="k1")
        assert dict(matplotlib.rcParams) == before

        assert "currentColor" in svg
        for foreign in (INK, PAPER, "#000000", "DejaVu", "<style", "<metadata", "https://", "xlink"):
            assert foreign not in svg, foreign
        for colour in SCALE:  # only ever what stands in for the page's own
            assert not re.search(rf"(?<!, ){colour}", svg), colour

        ids = re.findall(r'\sid="([^"]+)"', svg)
        assert len(ids) == len(set(ids))
        assert all(name == "k1" or name.startswith("k1-") for name in ids)
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) <= set(ids)

        root = ElementTree.fromstring(svg)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        letters = list(root.iter("{http://www.w3.org/2000/svg}text"))
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:[\w ]+ )?([\d.]+)px", svg)]
        assert width == WIDTH_PX
        assert len(sizes) == len(letters) > 0
        assert min(sizes) >= SMALL_PX
        for node in letters:
            assert 0 <= float(node.attrib.get("x", 0)) <= width, node.attrib
            assert 0 <= float(node.attrib.get("y", 0)) <= height, node.attrib

    return check
