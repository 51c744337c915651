"""The kind of numbers in a TIFF, for errors on those that are not read."""

from __future__ import annotations

import io

from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT, ImageFileDirectory_v2

_FORMATS = {
    1: "whole numbers",
    2: "signed whole numbers",
    3: "floats",
    5: "complex whole numbers",
    6: "complex numbers",
}


def samples_text(data: bytes) -> str | None:
    """The kind of numbers that a TIFF file holds, as ``64-bit floats``; None: its header does not say.

    Args:
        data: its content.
    """
    try:
        tags = ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits, kinds = tags.get(BITSPERSAMPLE, (1,)), tags.get(SAMPLEFORMAT, (1,))
        channels = f" in {len(bits)} channels" if len(bits) > 1 else ""
        return f"{max(bits)}-bit {_FORMATS[max(kinds)]}{channels}"
    except Exception:  # of a damaged header Pillow raises whatever it makes of it
        return None
