"""Exported files of less than 32 bits a number."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from multitask.data.images import Pixels
from multitask.inference.export.exported import IMAGES
from multitask.inference.export.graph import FLOAT_NODE

_LEAST_VALUES = 64
"""Constants of fewer numbers stay as they are: shapes, temperatures, biases of the decode rule."""
_QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Clip", "Relu", "GlobalAveragePool")
"""With what stands between convolutions too: else each is turned to float32 and back, and MobileNetV2 gains nothing."""
_BATCH = 32
"""Of the images that activations are measured on."""


def with_half_weights(model: bytes) -> bytes:
    """The model with weights kept as halves and computed with as float32.

    That is half the file, and nothing else: CPUs have next to no kernels for halves, and an engine turns the weights
    back once, as it opens the file.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    casts = []
    greatest = float(np.finfo(np.float16).max)
    for place, weight in enumerate(graph.initializer):
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _LEAST_VALUES:
            continue
        halves = np.clip(numpy_helper.to_array(weight), -greatest, greatest).astype(np.float16)
        half = f"{weight.name}.half"
        casts.append(helper.make_node("Cast", [half], [weight.name], f"cast/{weight.name}", to=TensorProto.FLOAT))
        graph.initializer[place].CopyFrom(numpy_helper.from_array(halves, half))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    return bytes(proto.SerializeToString())


def quantised(model: bytes, images: Pixels) -> bytes:
    """The model with the backbone's layers in whole numbers of 8 bits: static quantisation after training.

    Weights have a scale for each channel, activations one for each tensor, by the least and the greatest value on
    ``images``. Heads, calibration and decode rule stay in float32.

    Args:
        model: in float32.
        images: (N, H, W, 3), by which activations are scaled.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Pixels] = iter(np.array_split(images, -(-len(images) // _BATCH)))

        def get_next(self) -> dict[str, Pixels] | None:
            batch = next(self._batches, None)
            return None if batch is None else {IMAGES: batch}

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, small = (Path(folder, f"{name}.onnx") for name in ("plain", "prepared", "small"))
        plain.write_bytes(model)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        nodes = onnx.load_model(prepared).graph.node
        quantize_static(
            prepared,
            small,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_exclude=[node.name for node in nodes if node.name.startswith(FLOAT_NODE)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return small.read_bytes()
