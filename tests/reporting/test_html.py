from __future__ import annotations

import base64
import io

import jinja2
import numpy as np
import pytest
from PIL import Image

from multitask.reporting import html
from multitask.reporting.html import embedded


def test_an_image_is_embedded_with_its_bytes_and_its_size():
    pixels = np.full((12, 8, 3), 200, dtype=np.uint8)
    shown = embedded(pixels)
    kind, _, data = shown["src"].partition(",")
    assert (kind, shown["width"], shown["height"]) == ("data:image/jpeg;base64", 8, 12)
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.abs(decoded.astype(int) - 200).max() <= 2


@pytest.mark.parametrize("pixels", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_image_is_not_embedded(pixels):
    with pytest.raises(AssertionError):
        embedded(pixels)


def write(source, **values):
    return html._environment().from_string(source).render(**values)


def test_a_value_that_was_not_given_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        write("{{ nothing }}")


def test_class_names_break_between_their_parts_and_are_escaped():
    assert write("{{ name | breaks }}", name="a/<b>") == (
        "<span class=part>a/</span><wbr><span class=part>&lt;b&gt;</span>"
    )
    assert write("{{ name | breaks }}", name="x" * 30) == "x" * 30  # a long part may break anywhere


def test_paths_break_where_a_reader_would_and_are_escaped():
    assert write("{{ path | path_breaks }}", path="a/b_c<-d") == "a/<wbr>b_<wbr>c&lt;-<wbr>d"


def test_filters_write_numbers_like_the_plots_do():
    assert write("{{ 0.5 | score }} {{ 1000 | count }} {{ [0.1, 0.2] | interval }}") == ".500 1,000 .100 to .200"


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("32 × 32 px, took 21 min", "32_×_32_px, took 21_min"),
        ("at 8 × 8 pixels of 3.5 GB", "at 8_×_8_pixels of 3.5_GB"),
        ("5 minutes of 2 hours, 3 pxs", "5 minutes of 2 hours, 3 pxs"),
        ("a × b <i> 2 s", "a × b &lt;i&gt; 2_s"),
    ],
)
def test_a_number_and_its_unit_are_on_one_line(text, held):
    assert write("{{ text | whole }}", text=text) == held.replace("_", "\N{NO-BREAK SPACE}")
