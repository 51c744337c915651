"""Faces in images: OpenCV's YuNet with a model file that the user names."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.utils.files import check_regular

_NMS = 0.3
_TOP_K = 100
_TURNED = 0.7
"""Between the eyes, as a share of the way from eyes to mouth; less where a face is turned by 45 degrees or more."""
_LOCAL = threading.local()
"""OpenCV's detectors, one for each thread, since none serves two at once."""
_SILENCE = threading.RLock()
_SILENT = 0
"""OpenCV's log level."""


@dataclass(frozen=True)
class FaceDetector:
    """Finds the one face that an image is cropped to.

    Attributes:
        model: the content of YuNet's ONNX file.
        choose: among several faces, the ``largest`` or the most ``central``.
        min_score: the least confidence of a face, in (0, 1].
        detect_px: the longer side of the image that is searched, in pixels.
        digest: of the model's content.
        finds: what is told of the face: its box, or both eyes.
    """

    model: bytes = field(repr=False)
    choose: Literal["largest", "central"]
    min_score: float
    detect_px: int
    digest: str
    finds: Literal["boxes", "eyes"] = "boxes"

    @classmethod
    def read(
        cls,
        path: Path,
        choose: Literal["largest", "central"],
        min_score: float,
        detect_px: int,
        finds: Literal["boxes", "eyes"] = "boxes",
        setting: str = "data.crop.model",
    ) -> FaceDetector:
        """The detector of a model file, tried on one image; errors begin with the ``setting`` that names it.

        Raises:
            UserError: the file cannot be read, or is not YuNet.
        """
        check_regular(path, setting)
        try:
            model = path.read_bytes()
        except OSError as error:
            raise UserError(f"{setting}: {path}: cannot be read: {error.strerror}") from None
        detector = cls(model, choose, min_score, detect_px, hashlib.blake2b(model, digest_size=16).hexdigest(), finds)
        try:
            with _silence():
                detector.find(np.zeros((64, 64, 3), dtype=np.uint8))
        except (cv2.error, SystemError):
            raise UserError(f"{setting}: {path}: is not YuNet, the face detector, as an ONNX file") from None
        return detector

    def key(self) -> str:
        """Whatever the boxes depend on beside the images, as plain values for a cache key."""
        eyes = () if self.finds == "boxes" else (self.finds,)
        return repr((self.digest, self.choose, self.min_score, self.detect_px, _NMS, _TOP_K, cv2.__version__, *eyes))

    def find(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The face's box, or its eyes.

        Args:
            pixels: (H, W, 3) uint8, RGB, at most ``detect_px`` on the longer side.

        Returns:
            (4,) left, top, right, bottom in these pixels, or x and y of the face's right and left eye; NaN where
            there is no face.
        """
        face = self._face(pixels)
        if face is None:
            return np.full(4, np.nan)
        return _eyes(face[4:14].reshape(5, 2)) if self.finds == "eyes" else face[:4]

    def landmarks(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The face's five points.

        Args:
            pixels: as of ``find``.

        Returns:
            (5, 2) x and y of the face's right eye, left eye, nose, right and left corner of the mouth; NaN where there
            is no face.
        """
        face = self._face(pixels)
        return np.full((5, 2), np.nan) if face is None else face[4:14].reshape(5, 2)

    def _face(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """(15,) left, top, right, bottom, within the image; five points' x and y; the score."""
        height, width = pixels.shape[:2]
        detector = self._of_this_thread()
        detector.setInputSize((width, height))
        _, faces = detector.detect(np.ascontiguousarray(pixels[..., ::-1]))  # it was trained on BGR
        if faces is None:
            return None
        faces = faces[faces[:, -1] >= faces[:, -1].max() / 2].astype(np.float64)
        left, top = faces[:, 0].clip(0, width), faces[:, 1].clip(0, height)
        right, bottom = (faces[:, 0] + faces[:, 2]).clip(0, width), (faces[:, 1] + faces[:, 3]).clip(0, height)
        areas = (right - left) * (bottom - top)
        off_centre = np.hypot((left + right - width) / 2, (top + bottom - height) / 2)
        rank = -areas if self.choose == "largest" else off_centre
        rank[areas == 0] = np.inf
        chosen = int(np.argmin(rank))
        if areas[chosen] == 0:
            return None
        faces[chosen, :4] = left[chosen], top[chosen], right[chosen], bottom[chosen]
        face: NDArray[np.float64] = faces[chosen]
        return face

    def _of_this_thread(self) -> Any:
        kept: dict[tuple[str, float], Any] = _LOCAL.__dict__.setdefault("detectors", {})
        key = self.digest, self.min_score
        if key not in kept:
            cv2.setNumThreads(0)  # threads of ours look at an image each
            empty = np.empty(0, dtype=np.uint8)
            buffer = np.frombuffer(self.model, dtype=np.uint8)
            with _silence():
                kept[key] = cv2.FaceDetectorYN.create("onnx", buffer, empty, (64, 64), self.min_score, _NMS, _TOP_K)
        return kept[key]


def _eyes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) the eyes by which a face is aligned.

    Those of a face that is turned aside are close together, and say nothing of its size: they are put as far apart as a
    face of its height would have them, square to the line from eyes to mouth.

    Args:
        points: (5, 2) right eye, left eye, nose, and both corners of the mouth.
    """
    right, left = points[:2]
    middle = (right + left) / 2
    down = points[3:].mean(axis=0) - middle
    if np.hypot(*(left - right)) < _TURNED * np.hypot(*down):
        half = _TURNED / 2 * np.array([down[1], -down[0]])
        right, left = middle - half, middle + half
    eyes: NDArray[np.float64] = np.concatenate([right, left])
    return eyes


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps OpenCV from writing to the error stream: what goes wrong is raised too, and said in one line of ours."""
    set_level = getattr(cv2.utils, "logging", cv2).setLogLevel  # in cv2 itself before OpenCV 5
    with _SILENCE:
        before = set_level(_SILENT)
        try:
            yield
        finally:
            set_level(before)
