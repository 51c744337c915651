#!/usr/bin/env bash
# pydicom 3.0.2: apply_modality_lut does not rescale the frames of an enhanced file, and hands out the stored numbers as HU.
#
# Stored numbers become Hounsfield units, SUV or any other measure by a slope and an intercept. A classic CT file holds one
# slice and has both at its top. An enhanced one (Enhanced CT, MR or PET, whole series in a file) has them in functional groups,
# shared or one for each frame. apply_modality_lut(arr, ds) looks at the top alone and returns the array as it came; so does
# apply_windowing with the window. Two slices of the same 0 HU, stored with slopes of 1 and of 4; seen here:
#   two classic files                              stored 1024 and 256    rescaled    0 and 0      windowed
#   one enhanced file, a slope for each frame      stored 1024 and 256    rescaled 1024 and 256    as they were
#   one enhanced file, a shared slope of 1         stored 1024 and 256    rescaled 1024 and 256    as they were
# No error and no warning: equal tissue is bright in one slice and dark in the next, and a set of both kinds of file has two
# scales. Take the slope of each frame from PixelValueTransformationSequence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pydicom==3.0.2 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_modality_lut, apply_windowing
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

warnings.simplefilter("error")
STORED, SLOPES, INTERCEPT = (1024, 256), (1, 4), -1024


def rescale(slope):
    item = Dataset()
    item.RescaleIntercept, item.RescaleSlope, item.RescaleType = INTERCEPT, slope, "HU"
    return item


def window():
    item = Dataset()
    item.WindowCenter, item.WindowWidth = 40, 400
    return item


def saved(name, kind, frames, *groups):
    """Path of a file with a picture of 4 x 4 pixels for each of the frames, and the data elements of groups."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = kind, generate_uid(), "CT"
    ds.ensure_file_meta()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    if len(frames) > 1:
        ds.NumberOfFrames = len(frames)
    ds.PixelData = np.repeat(np.array(frames, np.uint16), 16).tobytes()
    for group in groups:
        ds.update(group)
    ds.save_as(name, enforce_file_format=True)
    return name


def seen(path):
    """Per frame: the stored number, what apply_modality_lut makes of it, and the windowed number."""
    ds = dcmread(path)
    stored = ds.pixel_array.reshape(-1, 4, 4)
    rescaled = apply_modality_lut(stored, ds)
    shown = apply_windowing(rescaled, ds)
    return [[round(float(frame[0, 0]), 1) for frame in frames] for frames in (stored, rescaled, shown)]


classic = [
    seen(saved(f"{n}.dcm", CTImageStorage, [value], rescale(slope), window()))
    for n, (value, slope) in enumerate(zip(STORED, SLOPES, strict=True))
]
per_frame = []
for slope in SLOPES:
    item = Dataset()
    item.PixelValueTransformationSequence = [rescale(slope)]
    per_frame.append(item)
voi, groups = Dataset(), Dataset()
voi.FrameVOILUTSequence = [window()]
groups.SharedFunctionalGroupsSequence, groups.PerFrameFunctionalGroupsSequence = [voi], per_frame
enhanced = seen(saved("enhanced.dcm", EnhancedCTImageStorage, STORED, groups))
shared, one = Dataset(), Dataset()
one.PixelValueTransformationSequence, one.FrameVOILUTSequence = [rescale(1)], [window()]
shared.SharedFunctionalGroupsSequence = [one]
of_one_slope = seen(saved("shared.dcm", EnhancedCTImageStorage, STORED, shared))
print(classic, enhanced, of_one_slope)
assert [file[0] for file in classic] == [[1024], [256]] and [file[1] for file in classic] == [[0], [0]]
assert classic[0][2] != classic[0][1]  # the window was applied
assert enhanced == of_one_slope == [[1024, 256]] * 3
PYTHON
