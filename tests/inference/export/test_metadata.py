from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from multitask.inference.export.metadata import content_digest, split_metadata, with_metadata


@pytest.fixture
def model() -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    return bytes(helper.make_model(graph).SerializeToString())


def test_what_is_added_is_what_onnx_reads(model: bytes, tmp_path: Path) -> None:
    entries = {"multitask": '{"ä": 1}' * 100, "other": ""}
    (tmp_path / "a.onnx").write_bytes(with_metadata(model, entries))
    loaded = onnx.load_model(tmp_path / "a.onnx")
    assert {prop.key: prop.value for prop in loaded.metadata_props} == entries
    assert split_metadata(with_metadata(model, entries)) == (entries, content_digest(model))


def test_what_onnx_wrote_is_what_is_read(model: bytes) -> None:
    proto = onnx.load_model_from_string(model)
    helper.set_model_props(proto, {"a": "b"})
    assert split_metadata(proto.SerializeToString()) == ({"a": "b"}, content_digest(model))


def test_a_changed_graph_has_another_digest(model: bytes) -> None:
    assert content_digest(model.replace(b"Identity", b"Identitx")) != content_digest(model)


@pytest.mark.parametrize("part", [0, 1, 5, 20, -1])
def test_a_cut_file_is_refused(part: int, model: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX file"):
        split_metadata(model[:part])


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 9, b"PK\x03\x04abc", b"\xff" * 40, b"text\n" * 10, b"\x3a\xff\xff\x03"]
)
def test_what_is_no_onnx_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX file"):
        split_metadata(content)
