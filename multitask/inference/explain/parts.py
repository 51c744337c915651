"""The part of each image that an audit of evidence looks at: a box from the data, a face, or one region of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from multitask.data.align import AlignSettings
from multitask.data.crop import Box, FaceSettings
from multitask.data.images import Preprocessing
from multitask.data.samples import Samples
from multitask.errors import UserError


class Part(ABC):
    """What counts as inside."""

    name: ClassVar[Literal["box", "face", "region"]]

    @abstractmethod
    def find(self, samples: Samples, row: int, crop_box: Box | None, preprocessing: Preprocessing) -> Box | None:
        """The part of one image.

        Args:
            samples: they hold it.
            row: its row there.
            crop_box: (4,) the box that it is cropped to, as of ``Preprocessing.load``.
            preprocessing: the network's.

        Returns:
            (4,) left, top, right, bottom in pixels of the network's input; None where there is none.

        Raises:
            UserError: the image cannot be read.
        """


@dataclass(frozen=True)
class NamedRegion(Part):
    """The same region of all images, as shares of what the network sees."""

    name = "region"
    region: tuple[float, float, float, float]

    def find(self, samples: Samples, row: int, crop_box: Box | None, preprocessing: Preprocessing) -> Box | None:
        """The region in the input's pixels."""
        height, width = preprocessing.size
        return np.array(self.region) * [width, height, width, height]


class DataBox(Part):
    """The box that the data has for each image."""

    name = "box"

    def find(self, samples: Samples, row: int, crop_box: Box | None, preprocessing: Preprocessing) -> Box | None:
        """The box, where the network sees it."""
        assert samples.boxes is not None
        if np.isnan(samples.boxes[row]).any():
            return None
        return preprocessing.place(samples.path(samples.images[row]), crop_box).to_input(samples.boxes[row])


class DetectedFace(Part):
    """The face that a detector finds.

    Args:
        finder: locates faces.
    """

    name = "face"

    def __init__(self, finder: Preprocessing) -> None:
        self.finder = finder

    def find(self, samples: Samples, row: int, crop_box: Box | None, preprocessing: Preprocessing) -> Box | None:
        """The face, where the network sees it."""
        path = samples.path(samples.images[row])
        found = preprocessing.detector is not None and preprocessing.detector.finds == "boxes"
        face = crop_box if crop_box is not None and found else self.finder.locate(path)
        return None if np.isnan(face).any() else preprocessing.place(path, crop_box).to_input(face)


def choose_part(
    samples: Samples,
    preprocessing: Preprocessing,
    region: tuple[float, float, float, float] | None = None,
    face_model: Path | None = None,
) -> Part:
    """The part that an audit looks at: a region or a face where it is asked for, else the boxes that there are.

    Raises:
        UserError: there are none; the region is none; the detector cannot be used.
    """
    if region is not None:
        left, top, right, bottom = region
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise UserError(
                "--region: must be left, top, right, bottom from 0 to 1, left below right and top below bottom, found "
                f"{' '.join(f'{edge:g}' for edge in region)}"
            )
        return NamedRegion(region)
    if face_model is None and isinstance(preprocessing.crop, AlignSettings) and preprocessing.crop.model is not None:
        face_model = Path(preprocessing.crop.model)
    if face_model is not None:
        settings = FaceSettings(model=str(face_model))
        return DetectedFace(Preprocessing(preprocessing.size, settings, decoding=preprocessing.decoding))
    if preprocessing.detector is not None:
        return DetectedFace(preprocessing)
    if samples.boxes is not None and not np.isnan(samples.boxes).all():
        return DataBox()
    raise UserError(
        "--audit: the data has no boxes; name their columns in data.source.box of a table, or a face detector with "
        "--face-model YUNET.onnx, or one region of all images with --region LEFT TOP RIGHT BOTTOM"
    )
