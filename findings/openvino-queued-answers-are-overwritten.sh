#!/usr/bin/env bash
# openvino 2026.4.1: answers that an AsyncInferQueue's callback keeps turn into those of later pictures.
#
# get_output_tensor().data in a callback is a view of the buffer of the request, and the queue gives the request, with its
# buffer, to the next picture. Whoever keeps the array under the picture's number has, when the queue is done, for each request
# the answer of its last picture again and again. Six pictures, of which number i has the answer 2 * i, and a queue of two
# requests, seen here:
#   kept in the callback      8 10 8 10 8 10
#   kept as a copy            0  2 4  6 8 10
# Within the callback each is right, so that a print there shows nothing amiss, and a test with no more pictures than requests
# passes. The same network called picture by picture, compiled(picture), hands out arrays of their own. No error and no warning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q openvino==2026.4.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
import openvino
from openvino import opset13

warnings.simplefilter("error")
picture = opset13.parameter([1, 2], np.float32)
network = openvino.compile_model(openvino.Model([opset13.multiply(picture, np.float32(2))], [picture]), "CPU")


def picture_of(index):
    return np.full((1, 2), index, np.float32)


def answers(num_pictures):
    """The first number of each picture's answer: as seen in the callback, as kept by it, and as kept by a copy."""
    seen, kept, copied = {}, {}, {}

    def keep(request, index):
        answer = request.get_output_tensor().data
        seen[index], kept[index], copied[index] = float(answer[0, 0]), answer, answer.copy()

    queue = openvino.AsyncInferQueue(network, 2)
    queue.set_callback(keep)
    for index in range(num_pictures):
        queue.start_async([picture_of(index)], index)
    queue.wait_all()
    arrays = [[float(found[index][0, 0]) for index in range(num_pictures)] for found in (kept, copied)]
    return [seen[index] for index in range(num_pictures)], *arrays


seen, kept, copied = answers(6)
print(seen, kept, copied)
right = [0, 2, 4, 6, 8, 10]
assert seen == copied == right
assert kept != right and len(set(kept)) <= 2  # two buffers, whichever request took which picture
assert answers(1) == ([0], [0], [0])
one_by_one = [network([picture_of(index)])[0] for index in range(6)]
assert [float(answer[0, 0]) for answer in one_by_one] == right
PYTHON
