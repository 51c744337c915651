"""A run as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.images import Pixels
from multitask.errors import UserError, first_line
from multitask.inference.engines.onnxruntime import OnnxRuntimeSettings, open_session, ort_errors
from multitask.inference.export.check import TOLERANCE, difference, reference_of, rounding, tolerance_of
from multitask.inference.export.exported import (
    IMAGES,
    RECORD,
    SPEC,
    Difference,
    Exported,
    ExportRecord,
    Precision,
)
from multitask.inference.export.graph import ExportedNetwork, to_onnx
from multitask.inference.export.images import CheckImages, check_images
from multitask.inference.export.metadata import content_digest, with_metadata
from multitask.inference.export.precision import quantised, with_half_weights
from multitask.inference.run_spec import run_spec
from multitask.inference.spec import InferenceSpec
from multitask.runs.config import TrainedRun
from multitask.runs.networks import load_network
from multitask.utils.files import write_atomically

_PACKAGES = ("multitask", "torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class ExportResult:
    """A file that was written.

    Attributes:
        exported: the file.
        notes: sentences that a user should know.
    """

    exported: Exported
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ExportSource:
    """A run, ready to be written in any precision.

    Attributes:
        network: its network and all around it.
        spec: its specification.
        images: to calibrate and to check with.
        model: the graph in float32, the content of an ONNX file without metadata.
    """

    network: ExportedNetwork
    spec: InferenceSpec
    images: CheckImages
    model: bytes

    @classmethod
    def of(cls, trained: TrainedRun) -> ExportSource:
        """A run, or a run in folds as an ensemble; on the CPU and in float32, whatever it was trained in.

        Raises:
            UserError: what it takes is not installed; the network cannot be exported.
        """
        require_exporter()
        trained = TrainedRun(trained.folder, trained.config.with_changes({"device": "cpu"}))
        spec = run_spec(trained)
        network = ExportedNetwork(load_network(trained).network, spec).eval()
        return cls(network, spec, check_images(trained, spec), to_onnx(network, network.names, spec.image_size))

    def write(self, path: Path, precision: Precision = "fp32") -> ExportResult:
        """Writes the file, once its outputs were compared with the run's.

        Args:
            path: the file; another that is there is replaced in one step, when all went well.
            precision: fp32, fp16 or int8.

        Raises:
            UserError: in fp32, an output differs by more than rounding or an image gets another class; for int8,
                the run's training images cannot be read.
        """
        content = _converted(self.model, precision, self.images)
        record, notes = self._checked(content, precision)
        metadata = {SPEC: self.spec.to_json(), RECORD: record.model_dump_json()}
        write_atomically(path, with_metadata(content, metadata))
        return ExportResult(Exported(path, self.spec, record), (*_notes(record, self.images, self.spec), *notes))

    def checked(self, content: bytes, precision: Precision) -> ExportRecord:
        """The record of a graph, which is compared with the run's network for it.

        Args:
            content: of an ONNX file.
            precision: its.

        Raises:
            UserError: as of ``write``.
        """
        return self._checked(content, precision)[0]

    def _checked(self, content: bytes, precision: Precision) -> tuple[ExportRecord, tuple[str, ...]]:
        """The same, and what a user should know of it."""
        names = list(self.network.names)

        def compute(pixels: Pixels) -> dict[str, NDArray[Any]]:
            return dict(zip(names, session.run(names, {IMAGES: np.ascontiguousarray(pixels)}), strict=True))

        pixels = self.images.pixels
        try:
            session = open_session(content, 1)
            found = difference(compute, reference_of(self.network.network, self.spec), pixels, self.spec)
        except ort_errors() as error:
            raise UserError(
                f"{self.spec.run}: onnxruntime cannot compute the exported network, and no file is written: "
                f"{first_line(error)}"
            ) from None
        notes: tuple[str, ...] = ()
        if precision == "fp32" and not _near(found, TOLERANCE):
            own = rounding(self.network.network, pixels, self.spec)
            found = difference(
                compute, reference_of(self.network.network, self.spec), pixels, self.spec, tolerance_of(own)
            )
            _refuse_far(found, self.spec, own)
            notes = (
                f"this network magnifies rounding: its outputs in float32 differ by {own:.2g} from its own in float64, "
                f"and so the file's may differ from the run's by {tolerance_of(own):.2g}",
            )
        record = ExportRecord(
            precision=precision,
            digest=content_digest(content),
            versions={name: version(name) for name in _PACKAGES},
            images=self.images.kind,
            num_images=len(pixels),
            difference=found,
            decides=self.network.decides,
        )
        return record, notes


def export(trained: TrainedRun, path: Path, precision: Precision = "fp32") -> ExportResult:
    """Writes a run as an ONNX file; arguments and errors as of ``ExportSource``."""
    return ExportSource.of(trained).write(path, precision)


def require_exporter() -> None:
    """Refuses to export where what it takes is not installed.

    Raises:
        UserError: it is not.
    """
    from importlib.util import find_spec

    OnnxRuntimeSettings().require()
    for module in ("onnx", "onnxscript"):
        if find_spec(module) is None:
            raise UserError(f"export: {module} is not installed; `pip install 'multitask[onnx]'` brings it")


def _converted(model: bytes, precision: Precision, images: CheckImages) -> bytes:
    if precision == "fp16":
        return with_half_weights(model)
    if precision == "int8":
        if images.kind == "random":
            raise UserError(f"--precision int8: is scaled by the run's training images, but {images.why}")
        return quantised(model, images.pixels)
    return model


def _near(found: Difference, tolerance: float) -> bool:
    return max(found.log_probs, found.class_probs) <= tolerance and found.agreement == 1


def _refuse_far(found: Difference, spec: InferenceSpec, own: float) -> None:
    """Refuses what differs by more than rounding, ``own`` being that of the network itself."""
    tolerance = tolerance_of(own)
    if max(found.log_probs, found.class_probs) > tolerance:
        why = "" if tolerance == TOLERANCE else f"; the run's own in float32 and float64 differ by {own:.2g}"
        raise UserError(
            f"{spec.run}: the exported network's outputs differ from the run's by {found.log_probs:.2g} "
            f"(log-probabilities) and {found.class_probs:.2g} (class probabilities), above {tolerance:.2g}{why}; no "
            "file is written"
        )
    if found.agreement < 1:
        raise UserError(
            f"{spec.run}: the exported network decides {1 - found.agreement:.2%} of the images otherwise than the run; "
            "no file is written"
        )


def _notes(record: ExportRecord, images: CheckImages, spec: InferenceSpec) -> tuple[str, ...]:
    notes = []
    if images.kind == "random":
        notes.append(f"checked with random images, since the run's cannot be read: {images.why}")
    if not record.decides:
        notes.append(
            f"there is no output class: the decode rule {spec.rule.name} has no class_score; a Predictor decides by it"
        )
    return tuple(notes)
