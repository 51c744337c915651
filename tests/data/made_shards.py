"""WebDataset shards that are made up."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def write_shard(path: Path, members: Mapping[str, bytes]) -> Path:
    """A tar of files by name."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def jpeg(shade: int, size: int = 16) -> bytes:
    """A grey image."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), (shade % 256,) * 3).save(file, "JPEG")
    return file.getvalue()


def sample(key: str, shade: int, **said: object) -> dict[str, bytes]:
    """The members of one sample: an image, and JSON."""
    return {f"{key}.jpg": jpeg(shade), f"{key}.json": json.dumps(said).encode()}
