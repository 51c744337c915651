"""The members of one sample in a WebDataset shard: its image, and what is said of it."""

from __future__ import annotations

import json

from multitask.data.formats import SUFFIXES
from multitask.data.sources import cells
from multitask.errors import UserError

_MOST_TEXT = 4096
"""Bytes of a label; longer texts are captions, or no text."""
Sample = dict[str, bytes]
"""The content of each member by its extension, in lower case: what stands behind the first dot of its name."""


def split_name(name: str) -> tuple[str, str] | None:
    """A member's key and extension, as it is written; None: it is of no sample."""
    folder, _, file = name.removeprefix("./").rpartition("/")
    base, dot, extension = file.partition(".")
    if not base or not dot:
        return None
    return (f"{folder}/{base}" if folder else base), extension


def image_of(sample: Sample, where: str) -> str | None:
    """The extension of a sample's image: of several that without a dot in it, as ``jpg`` beside ``mask.png``.

    Raises:
        UserError: it may be any of them.
    """
    images = [extension for extension in sample if _is_image(extension)]
    if len(images) > 1:
        images = [extension for extension in images if "." not in extension]
        if len(images) != 1:
            every = ", ".join(f".{extension}" for extension in sample if _is_image(extension))
            raise UserError(
                f"{where}: has several images ({every}); a name counts up to its first dot, so images of their own "
                "need names of their own"
            )
    return images[0] if images else None


def words_of(sample: Sample, where: str) -> dict[str, str]:
    """What a sample says of its image.

    Raises:
        UserError: its JSON is damaged.
    """
    words: dict[str, str] = {}
    for extension, data in sample.items():
        if _is_image(extension) or len(data) > (_MOST_TEXT * 16 if extension == "json" else _MOST_TEXT):
            continue
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        if extension != "json":
            words[extension] = text.strip()
            continue
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}.json: is damaged: {str(error).splitlines()[0]}") from None
        if isinstance(said, dict):
            plain = {name: value for name, value in said.items() if not isinstance(value, (dict, list))}
            words |= {str(name): cells.text(value) for name, value in plain.items()}
        elif not isinstance(said, list):
            words[extension] = cells.text(said)
    return words


def _is_image(extension: str) -> bool:
    return f".{extension.rpartition('.')[2]}" in SUFFIXES
