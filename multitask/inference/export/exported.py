"""An exported file: what stands in it beside the graph, and the names of what the graph takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multitask.errors import UserError
from multitask.inference.export.metadata import split_metadata
from multitask.inference.file_entry import read_entry
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT
from multitask.settings import Bool, Count, Fraction, NonNegativeFloat, Settings
from multitask.utils.files import check_regular

Precision = Literal["fp32", "fp16", "int8"]
"""Of an exported file. fp16: weights are kept as halves, and computed with as float32; int8: weights and activations of
the backbone are whole numbers of 8 bits."""

SPEC, RECORD = "multitask", "multitask.export"
"""The keys of the metadata: that of the specification and that of the record, both JSON."""

IMAGES, CLASS_PROBS, CLASS = "images", "class_probs", "class"
"""The names of the graph's input, (N, H, W, 3) uint8, and of two of its outputs: (N, C) and (N,) int64."""


class Difference(Settings):
    """How far an exported file's outputs are from the run's, on the images that it was checked with.

    Log-probabilities differ by |a - b| / max(1, |b|), with b the run's: where a label is all but excluded, only their
    ratio means something.
    """

    log_probs: NonNegativeFloat
    """The largest, over heads and classes."""
    class_probs: NonNegativeFloat
    """The largest of the classes' calibrated probabilities."""
    agreement: Fraction
    """The share of images that get the class which the run gives."""


class ExportRecord(Settings):
    """How an exported file came about."""

    version: Literal[1] = 1
    precision: Precision
    digest: str
    """Of the file without its metadata."""
    versions: dict[str, str]
    """Library -> its version."""
    images: Literal["training", "random"]
    """What it was checked with: the run's training images or, where they are not there, random ones."""
    num_images: Count
    difference: Difference
    decides: Bool
    """Whether the file has the output ``class``: a decode rule of one's own may have no score that a graph can hold."""

    @property
    def sentence(self) -> str:
        """How near it is to the run."""
        found = self.difference
        return (
            f"{self.precision}, compared with the run on {self.num_images:,} {self.images} images: log-probabilities "
            f"differ by at most {found.log_probs:.2g}, class probabilities by {found.class_probs:.2g}, "
            f"{found.agreement:.2%} get the same class"
        )


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: the file.
        spec: the specification of its network.
        record: how it came about.
    """

    path: Path
    spec: InferenceSpec
    record: ExportRecord


def read_exported(path: Path) -> Exported:
    """What stands in an exported file, whose graph is not looked at.

    Raises:
        UserError: it cannot be read, is damaged, is no export of this program, or is one of another version.
    """
    check_regular(path)
    try:
        entries, digest = split_metadata(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as an exported file: {error}") from None
    if SPEC not in entries:
        raise UserError(f"{path}: is no file of `multitask export`: what its outputs mean does not stand in it")
    spec = InferenceSpec.from_json(entries[SPEC], str(path))
    record = read_entry(ExportRecord, entries.get(RECORD, ""), str(path), "record")
    if record.digest != digest:
        raise UserError(f"{path}: is damaged, or was changed since it was written; export the run again")
    return Exported(path, spec, record)


def check_output(path: Path) -> None:
    """Refuses a path that no file can be exported to, before anything is computed.

    Raises:
        UserError: it has another suffix, is a folder, or its folder is not there.
    """
    if path.suffix.lower() != ".onnx":
        raise UserError(f"{path}: an export is an ONNX file; name it with the suffix .onnx")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")


def head_output(head: str) -> str:
    """The output with the log-probabilities of a head, of a task or of ``joint``: (N, C_t), (N, C)."""
    return f"log_probs_{head}"


def head_outputs(spec: InferenceSpec) -> dict[str, str]:
    """Per head, and for ``joint`` where there is a joint term, the name of its output."""
    names = [*spec.learned.task_names, *([JOINT] if spec.joint_term else [])]
    return {name: head_output(name) for name in names}


def output_names(spec: InferenceSpec, decides: bool) -> Sequence[str]:
    """The names of all outputs: the heads', of a flat network the tasks' too, and the classes'."""
    tasks = [head_output(name) for name in spec.space.task_names]
    return list(dict.fromkeys([*head_outputs(spec).values(), *tasks, CLASS_PROBS, *([CLASS] if decides else [])]))
