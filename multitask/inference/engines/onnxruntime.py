"""ONNX Runtime: exported files on the CPU, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from multitask.data.images import Pixels
from multitask.errors import UserError, first_line
from multitask.inference.engines.exported import ExportedEngine, ExportedSettings
from multitask.inference.export.exported import IMAGES, Exported


class OnnxRuntimeEngine(ExportedEngine):
    """An exported file in ONNX Runtime.

    Args:
        exported: the file.
        num_threads: that compute one batch.

    Raises:
        UserError: ONNX Runtime cannot compute the file.
    """

    def __init__(self, exported: Exported, num_threads: int) -> None:
        super().__init__(exported)
        try:
            self._session = open_session(str(exported.path), num_threads)
        except ort_errors() as error:
            raise UserError(f"{exported.path}: engine onnxruntime cannot open it: {first_line(error)}") from None

    def shapes(self) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
        """As ``ExportedEngine.shapes``."""
        (images,) = self._session.get_inputs()
        return _shape(images), {value.name: _shape(value) for value in self._session.get_outputs()}

    def compute(self, images: Pixels) -> Mapping[str, NDArray[Any]]:
        """As ``ExportedEngine.compute``; the session may be asked by any number of threads."""
        names = list(self._heads.values())
        return dict(zip(names, self._session.run(names, {IMAGES: images}), strict=True))


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else -1 for size in value.shape)


class OnnxRuntimeSettings(ExportedSettings):
    """ONNX Runtime, on the CPU."""

    name: Literal["onnxruntime"] = "onnxruntime"
    extra: ClassVar[str] = "onnx"
    modules: ClassVar[tuple[str, ...]] = ("onnxruntime",)

    def build(self, exported: Exported) -> ExportedEngine:
        """The engine with a file."""
        return OnnxRuntimeEngine(exported, self.threads())


def open_session(model: str | bytes, num_threads: int) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU.

    Args:
        model: a file's path, or its content.
        num_threads: that compute one batch.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait for the next batch leave their cores to those that read images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def ort_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a file that it cannot compute."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented, state.InvalidArgument,
            state.NoSuchFile, state.RuntimeException, RuntimeError)  # fmt: skip
