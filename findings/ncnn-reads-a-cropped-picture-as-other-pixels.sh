#!/usr/bin/env bash
# ncnn 1.0.20261020: a picture that is a view of another array, cropped or with channels first, is read as other pixels.
#
# ncnn.Mat of an array and Mat.from_pixels take the array's shape and the place where it begins, and none of its strides. A
# cropped face, picture[y:y+h, x:x+w], is read on from its first pixel, past its right edge into the rows of the whole picture;
# a picture that transpose(2, 0, 1) has put to channels first is read with colours as pixels. onnxruntime and torch.from_numpy
# read such arrays as what they are. Seen here, of a picture whose red is 90 and green 30:
#   mean of red, green and blue, channels first        ncnn 40, 40, 40       of a copy 90, 30, 0
# and of a picture whose column n is 10 * n, cropped to columns 1 and 2 of four rows:
#   by from_pixels       10 20 | 30 40 | 50 0 | 10 20       of a copy 10 20 | 10 20 | 10 20 | 10 20
# Shapes and types are right, and there is no error and no warning: the network answers for a picture that nobody has seen.
# Pass a variable that holds numpy.ascontiguousarray(picture).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q ncnn==1.0.20261020 numpy==2.4.6 onnxruntime==1.32.0 onnx==1.23.2
cat > mean.param <<'LAYERS'
7767517
2 2
Input in 0 1 in
Pooling pool 1 1 in out 0=1 4=1
LAYERS
touch mean.bin
environment/bin/python - <<'PYTHON'
import warnings

import ncnn
import numpy as np
import onnx
import onnxruntime

warnings.simplefilter("error")
network = ncnn.Net()
assert network.load_param("mean.param") == 0 and network.load_model("mean.bin") == 0


def means(picture):
    """Mean of each channel as ncnn answers it."""
    assert picture.dtype == np.float32
    with network.create_extractor() as extractor:
        assert extractor.input("in", ncnn.Mat(picture)) == 0
        code, answer = extractor.extract("out")
        assert code == 0
        return np.array(answer).tolist()


def same_of_onnxruntime(picture):
    info = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("GlobalAveragePool", ["x"], ["y"])
    ends = [info("x", 1, [1, *picture.shape])], [info("y", 1, [1, len(picture), 1, 1])]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "mean", *ends), opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": picture[None]})[0].ravel().tolist()


picture = np.zeros((8, 6, 3), np.float32)
picture[..., 0], picture[..., 1] = 90, 30
view = picture.transpose(2, 0, 1)
copy = np.ascontiguousarray(view)
assert np.array_equal(view, copy)
print(means(view), means(copy), same_of_onnxruntime(view))
assert means(view) == [40, 40, 40] and means(copy) == [90, 30, 0] == same_of_onnxruntime(view)

columns = np.zeros((8, 6, 3), np.uint8) + 10 * np.arange(6, dtype=np.uint8)[:, None]
crop = columns[2:6, 1:3]
copy = np.ascontiguousarray(crop)
assert np.array_equal(crop, copy)
read, right = (
    np.array(ncnn.Mat.from_pixels(pixels, ncnn.Mat.PixelType.PIXEL_RGB, 2, 4))[0].tolist() for pixels in (crop, copy)
)
print(read, right)
assert read == [[10, 20], [30, 40], [50, 0], [10, 20]] and right == [[10, 20]] * 4 == crop[..., 0].tolist()
PYTHON
