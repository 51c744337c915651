"""The metadata of an ONNX file, read and added without any library: neither engine need be there, nor ``onnx``.

An ONNX file is one protobuf message, ``ModelProto`` of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: a
sequence of fields, each a number, a wire type and a value. Field 14, ``metadata_props``, stands once for each entry and
is a message itself, of a key (field 1) and a value (field 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_METADATA, _GRAPH = 14, 7
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}


class _Field(NamedTuple):
    number: int
    begin: int
    """Of the field, its number included."""
    value: int
    """Where the value begins."""
    end: int


def split_metadata(model: bytes) -> tuple[dict[str, str], str]:
    """The metadata of an ONNX file, and a digest of all the rest.

    Args:
        model: the file's content.

    Raises:
        ValueError: it is no ONNX file, or is cut.

    >>> entries, digest = split_metadata(with_metadata(b"\\x3a\\x00", {"a": "b"}))
    >>> entries, digest == content_digest(b"\\x3a\\x00")
    ({'a': 'b'}, True)
    """
    view = memoryview(model)
    digest = hashlib.blake2b(digest_size=16)
    entries = {}
    graphs = 0
    for field in _fields(view):
        if field.number != _METADATA:
            graphs += field.number == _GRAPH
            digest.update(view[field.begin : field.end])
            continue
        inner = view[field.value : field.end]
        parts = {part.number: bytes(inner[part.value : part.end]).decode() for part in _fields(inner)}
        entries[parts.get(_KEY, "")] = parts.get(_VALUE, "")
    if graphs != 1:
        raise ValueError("it is no ONNX file")
    return entries, digest.hexdigest()


def with_metadata(model: bytes, entries: Mapping[str, str]) -> bytes:
    """An ONNX file's content with more metadata."""
    added = []
    for key, value in entries.items():
        inner = _bytes_field(_KEY, key.encode()) + _bytes_field(_VALUE, value.encode())
        added.append(_bytes_field(_METADATA, inner))
    return b"".join([model, *added])


def content_digest(model: bytes) -> str:
    """The digest of an ONNX file's content, metadata left aside; errors as of ``split_metadata``."""
    return split_metadata(model)[1]


def _fields(view: memoryview) -> Iterator[_Field]:
    place = 0
    while place < len(view):
        begin = place
        tag, place = _varint(view, place)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, place = _varint(view, place)
            end = place + length
        elif kind == _VARINT:
            end = _varint(view, place)[1]
        elif kind in _SIZES:
            end = place + _SIZES[kind]
        else:
            raise ValueError("it is no ONNX file")
        if end > len(view) or not number:
            raise ValueError("it is cut, or is no ONNX file")
        yield _Field(number, begin, place, end)
        place = end


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(view):
            break
        byte = view[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is cut, or is no ONNX file")


def _bytes_field(number: int, value: bytes) -> bytes:
    return _to_varint(number << 3 | _BYTES) + _to_varint(len(value)) + value


def _to_varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
