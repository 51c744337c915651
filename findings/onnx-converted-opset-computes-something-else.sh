#!/usr/bin/env bash
# onnx 1.23.2: version_converter changes what Softmax, Hardmax and Resize compute.
#
# convert_version is the tool for a runtime that wants an older or a newer opset. Softmax over an axis is, before opset 13, one
# over that axis and all after it; going down, the converter keeps the node as it is. Hardmax changed the same way, and going
# up it is kept too. Resize of opset 10 (Upsample of 9) takes the pixel at x / scale, and that of opset 11 by default the one
# at (x + .5) / scale - .5; the converter does not tell the new one to go by the old rule.
# Seen here:
#   two heads attend to three patches, Softmax over patches     each head's weights sum to 1; in opset 12 to .48 and .52
#   Hardmax over patches, opset 11                              1 for one patch in all; in opset 13 for one of each head
#   0 1 2 3 resized to 8, opset 10                              0 .5 1 1.5 2 2.5 3 3
#   the same converted to opset 11 or 18                        0 .25 .75 1.25 1.75 2.25 2.75 3
# Softmax over the last axis is right either way. The checker passes the files, and there is no error and no warning. Export
# with the opset that is needed, and compare the file's answers with the network's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.version_converter import convert_version

warnings.simplefilter("error")


def model(opset, kind, before, after, scales=None, **attributes):
    """A network of one layer, of pictures of shape `before`."""
    names = ["x"] if scales is None else ["x", "scales"]
    held = [] if scales is None else [onnx.numpy_helper.from_array(np.array(scales, np.float32), "scales")]
    ends = ([helper.make_tensor_value_info(name, 1, shape)] for name, shape in (("x", before), ("y", after)))
    graph = helper.make_graph([helper.make_node(kind, names, ["y"], **attributes)], "layer", *ends, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def answers(network, picture, *opsets):
    """Answers of the network and of each that it is converted to."""
    found = []
    for converted in (network, *(convert_version(network, opset) for opset in opsets)):
        onnx.checker.check_model(converted, full_check=True)
        session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
        found.append(session.run(None, {"x": picture})[0].round(4))
    return found


scores = np.log(np.array([[[2, 1], [1, 2], [1, 1.4]]], np.float32))
before, older = answers(model(13, "Softmax", [1, 3, 2], [1, 3, 2], axis=1), scores, 12)
print("softmax", before.sum(1), older.sum(1))
assert np.allclose(before.sum(1), 1, atol=1e-3) and np.allclose(older.sum(1), [0.4762, 0.5238], atol=1e-3)
before, older = answers(model(13, "Softmax", [1, 3, 2], [1, 3, 2], axis=-1), scores, 12)
assert np.array_equal(before, older)

before, newer = answers(model(11, "Hardmax", [1, 3, 2], [1, 3, 2], axis=1), scores, 13)
print("hardmax", before.tolist(), newer.tolist())
assert before.tolist() == [[[1, 0], [0, 0], [0, 0]]] and newer.tolist() == [[[1, 0], [0, 1], [0, 0]]]

row = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
shapes, scales = ([1, 1, 1, 4], [1, 1, 1, 8]), [1, 1, 1, 2]
resized = answers(model(10, "Resize", *shapes, scales, mode="linear"), row, 11, 18)
upsampled = answers(model(9, "Upsample", *shapes, scales, mode="linear"), row, 10, 13)
print("resize", *(values.ravel().tolist() for values in resized))
old, new = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
assert [values.ravel().tolist() for values in resized] == [old, new, new]
assert [values.ravel().tolist() for values in upsampled] == [old, old, new]
PYTHON
