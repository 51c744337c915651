from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from multitask.errors import UserError
from multitask.inference.export.exported import RECORD, SPEC, check_output, read_exported
from multitask.inference.export.metadata import split_metadata, with_metadata
from multitask.inference.predictor import Predictor


def test_the_file_says_what_it_is(exported_path: Path, trained_path: Path) -> None:
    found = read_exported(exported_path)
    assert found.spec == Predictor.load(trained_path).spec
    record = found.record
    assert (record.precision, record.images, record.decides, record.difference.agreement) == (
        "fp32",
        "training",
        True,
        1,
    )
    assert 0 < record.difference.log_probs < 1e-4
    assert {"multitask", "torch", "onnx", "onnxruntime"} <= set(record.versions)


def test_whoever_has_onnxruntime_alone_gets_probabilities_and_classes(exported_path: Path, trained_path: Path) -> None:
    session = onnxruntime.InferenceSession(exported_path, providers=["CPUExecutionProvider"])
    assert [(value.name, value.type, value.shape) for value in session.get_inputs()] == [
        ("images", "tensor(uint8)", ["N", 32, 24, 3])
    ]
    shapes = {value.name: (value.type, value.shape) for value in session.get_outputs()}
    assert shapes == {
        "log_probs_mask": ("tensor(float)", ["N", 3]),
        "log_probs_gender": ("tensor(float)", ["N", 2]),
        "log_probs_age": ("tensor(float)", ["N", 3]),
        "class_probs": ("tensor(float)", ["N", 18]),
        "class": ("tensor(int64)", ["N"]),
    }
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 24, 3), dtype=np.uint8)
    class_probs, classes = session.run(["class_probs", "class"], {"images": pixels})
    expected = Predictor.load(trained_path).predict(pixels)
    np.testing.assert_allclose(class_probs, expected.class_probs, atol=1e-5)
    assert classes.tolist() == expected.predicted.tolist()


def test_no_path_of_this_machine_stands_in_the_file(exported_path: Path) -> None:
    content = exported_path.read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    assert b"site-packages" not in content


def _with_other(content: bytes, key: str, change: Callable[[str], str]) -> bytes:
    entries, _ = split_metadata(content)
    model = onnx.load_model_from_string(content)
    del model.metadata_props[:]
    return with_metadata(model.SerializeToString(), {**entries, key: change(entries[key])})


def _version(number: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), "version": number})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda content: b"", "cannot be read as an exported file: it is no ONNX file"),
        (lambda content: b"no model", "cannot be read as an exported file"),
        (lambda content: content[: len(content) // 2], "it is cut"),
        (lambda content: content[:9000] + b"\x07" + content[9001:], "is damaged, or was changed since"),
        (lambda content: _with_other(content, SPEC, _version(2)), "is of version 2, and this program reads 1"),
        (lambda content: _with_other(content, RECORD, _version(None)), "is of version None, and this program reads 1"),
        (lambda content: _with_other(content, SPEC, lambda text: text[:40]), "its specification is damaged"),
        (lambda content: _with_other(content, RECORD, lambda text: text[:40]), "its record is damaged"),
    ],
)
def test_what_is_no_export_of_this_version_is_refused(
    change: Callable[[bytes], bytes], match: str, exported_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.onnx").write_bytes(change(exported_path.read_bytes()))
    with pytest.raises(UserError, match=match) as caught:
        read_exported(tmp_path / "a.onnx")
    assert str(caught.value).startswith(f"{tmp_path / 'a.onnx'}: ")


def test_somebody_elses_onnx_file_is_refused(exported_path: Path, tmp_path: Path) -> None:
    model = onnx.load_model(exported_path)
    del model.metadata_props[:]
    onnx.save_model(model, tmp_path / "a.onnx")
    with pytest.raises(UserError, match="is no file of `multitask export`"):
        Predictor.load(tmp_path / "a.onnx")


def test_an_output_is_checked_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    for name, match in (("a.bin", "suffix .onnx"), ("folder.onnx", "is a folder"), ("no/a.onnx", "there is no folder")):
        with pytest.raises(UserError, match=match):
            check_output(tmp_path / name)
    check_output(tmp_path / "a.onnx")


def _spec(**changes: object) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **changes})


AGE = {"name": "age", "classes": ["a", "b", "c", "d"]}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "auto"])
@pytest.mark.parametrize(
    "change",
    [
        _spec(image_size=[40, 24]),
        _spec(joint_term=True),
        lambda text: json.dumps(
            {
                **json.loads(text),
                **{key: [*json.loads(text)[key][:2], AGE] for key in ("tasks", "heads")},
                "calibration": None,
                "grouping": None,
            }
        ),
    ],
    ids=["size", "joint", "label"],
)
def test_a_network_that_does_not_fit_its_specification_is_one_line(
    change: Callable[[str], str], engine: str, exported_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(_with_other(exported_path.read_bytes(), SPEC, change))
    with pytest.raises(UserError, match=r"other\.onnx: its network does not fit its specification: ") as caught:
        Predictor.load(path, engine=engine)
    assert "\n" not in str(caught.value)
