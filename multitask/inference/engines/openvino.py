"""OpenVINO: exported files on the CPU, without torch; in bfloat16 where the machine computes in it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from multitask.data.images import Pixels
from multitask.errors import UserError, first_line
from multitask.inference.engines.exported import ExportedEngine, ExportedSettings
from multitask.inference.export.exported import Exported, Precision


class OpenVinoEngine(ExportedEngine):
    """An exported file in OpenVINO.

    Args:
        exported: the file.
        num_threads: that compute one batch.
        bf16: whether the backbone is computed in bfloat16.

    Raises:
        UserError: OpenVINO cannot compute the file.
    """

    def __init__(self, exported: Exported, num_threads: int, bf16: bool) -> None:
        super().__init__(exported)
        options = {
            # Of itself it takes bfloat16 wherever there is any, and moves log-probabilities by hundredths.
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "INFERENCE_NUM_THREADS": str(num_threads),
            "NUM_STREAMS": "1",
        }
        try:
            self._compiled = _core().compile_model(_core().read_model(str(exported.path)), "CPU", options)
        except RuntimeError as error:
            raise UserError(f"{exported.path}: engine openvino cannot open it: {first_line(error)}") from None
        self._local = threading.local()

    def shapes(self) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
        """As ``ExportedEngine.shapes``."""
        (images,) = self._compiled.inputs
        return _shape(images), {name: _shape(port) for port in self._compiled.outputs for name in port.get_names()}

    def compute(self, images: Pixels) -> Mapping[str, NDArray[Any]]:
        """As ``ExportedEngine.compute``; each thread has a request of its own."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        request.infer([images])
        # Copied: the next call of this thread writes to the same memory.
        return {name: request.get_tensor(name).data.copy() for name in self._heads.values()}


def _shape(port: Any) -> tuple[int, ...]:
    return tuple(size.get_length() if size.is_static else -1 for size in port.get_partial_shape())


class OpenVinoSettings(ExportedSettings):
    """OpenVINO, on the CPU."""

    name: Literal["openvino"] = "openvino"
    extra: ClassVar[str] = "openvino"
    modules: ClassVar[tuple[str, ...]] = ("openvino",)
    precision: Precision | Literal["bf16"] | None = None  # type: ignore[assignment]
    """As of ``ExportedSettings``, or bf16: a float32 file whose backbone is computed in bfloat16."""

    @property
    def file_precision(self) -> Precision | None:
        """The precision that the file must have."""
        return "fp32" if self.precision == "bf16" else self.precision

    def build(self, exported: Exported) -> ExportedEngine:
        """The engine with a file.

        Raises:
            UserError: it is to compute in bfloat16, which this machine does not.
        """
        bf16 = self.precision == "bf16"
        if bf16 and not computes_bf16():
            raise UserError("engine openvino: this processor has no bfloat16 (AVX512_BF16 or AMX); use fp32 or int8")
        return OpenVinoEngine(exported, self.threads(), bf16)


def computes_bf16() -> bool:
    """Whether this machine computes in bfloat16; elsewhere OpenVINO would imitate it, slower than float32."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()
