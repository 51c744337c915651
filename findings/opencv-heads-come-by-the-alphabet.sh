#!/usr/bin/env bash
# OpenCV 4.14.0: the outputs of an ONNX network with several heads are handed out by the alphabet, not in the file's order.
#
# forward(getUnconnectedOutLayersNames()) is how one asks cv2.dnn for all outputs. ONNX lists a graph's outputs in an order,
# which onnx's own evaluator and onnxruntime keep, and code that names the answers takes the heads in the order of the export.
# Of a file whose heads mask, gender and age answer 2, 4 and 6, seen here:
#   outputs in the file         OpenCV hands out     its names               forward() alone
#   mask, gender, age             6 4 2              age, gender, mask        6, the file's last one
#   age, gender, mask             2 4 6              age, gender, mask        6
# Heads of as many classes trade places, with no error: the answers are then of another task. Heads that are called output_1 to
# output_9 stay where they are, and a tenth comes in second. OpenCV 5.0.0 keeps the file's order with its new engine, and does
# as 4.14 with ENGINE_CLASSIC. Take the answers by the names that come with them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q opencv-python-headless==4.14.0.94 onnx==1.23.2 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

pixels = np.ones((1, 2), dtype="float32")


def answers(heads):
    """Writes a network of linear heads that answer 2, 4, 6, and asks onnx and OpenCV for them."""
    weights = [numpy_helper.from_array(np.full((2, 2), i + 1, dtype="float32"), f"w_{n}") for i, n in enumerate(heads)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("pixels", *heads)]
    nodes = [helper.make_node("MatMul", ["pixels", f"w_{name}"], [name]) for name in heads]
    graph = helper.make_graph(nodes, "heads", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, "heads.onnx")
    network = cv2.dnn.readNetFromONNX("heads.onnx")
    names = list(network.getUnconnectedOutLayersNames())
    network.setInput(pixels)
    several = [int(answer[0, 0]) for answer in network.forward(names)]
    own = [int(answer[0, 0]) for answer in ReferenceEvaluator(model).run(None, {"pixels": pixels})]
    print(heads, "onnx", own, "OpenCV", several, names)
    return own, several, names, int(network.forward()[0, 0])


for heads in (["mask", "gender", "age"], ["age", "gender", "mask"]):
    own, several, names, single = answers(heads)
    assert own == [2, 4, 6] and single == 6 and names == sorted(heads)
    assert several == [own[heads.index(name)] for name in names]
numbered = [f"output_{index}" for index in range(1, 11)]
own, several, names, _ = answers(numbered)
assert own == list(range(2, 21, 2)) and several == [2, 20, *range(4, 19, 2)]
PYTHON
