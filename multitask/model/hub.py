"""The hub that timm's weights come from, which may be out of reach."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants

_CONNECT_S = 3.0


@contextmanager
def no_vain_retries() -> Iterator[str]:
    """Weights are looked for in the hub's local cache alone while the hub is out of reach.

    Its client would try again for half a minute for each file that may hold a model's weights.

    Yields:
        Why it is out of reach; "": it is not, or a proxy stands between, so that only the client itself can know.
    """
    why = "" if constants.HF_HUB_OFFLINE or getproxies() else _unreachable()
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE or bool(why)
    try:
        yield why
    finally:
        constants.HF_HUB_OFFLINE = before


def _unreachable() -> str:
    address = urlsplit(constants.ENDPOINT)
    host, port = address.hostname or "", address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        return f"{host} cannot be reached: {error.strerror or error}"
    return ""
