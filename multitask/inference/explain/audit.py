"""An audit of evidence: how much of each head's evidence lies in a part of the images, as the face."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from multitask.data.crop import Box
from multitask.data.framing import spread
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.evaluation.evidence import EvidenceShares, Explanation, head_share, inside, share_inside
from multitask.inference.explain.explainer import Explainer
from multitask.inference.explain.parts import NamedRegion, Part
from multitask.inference.stream import ImageInput
from multitask.progress import Progress
from multitask.reporting.explain.report_schema import EvidenceReport, HeadEvidence
from multitask.reporting.explain.text import evidence_sentences
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members
from multitask.runs.evaluate import data_of, samples_of
from multitask.utils.seeds import derive
from multitask.utils.spelling import plural


@dataclass
class EvidenceAudit:
    """What is found image by image.

    Attributes:
        area: of each image that has the part, the share of the input that it covers.
        groups: its group.
        shares: per head, the share of its evidence inside.
        decided: per head, the label that it decided.
        without: how many images have no such part.
        examples: some of the explanations, with the part as their box.
    """

    area: list[float] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    shares: dict[str, list[float]] = field(default_factory=dict)
    decided: dict[str, list[str]] = field(default_factory=dict)
    without: int = 0
    examples: list[Explanation] = field(default_factory=list)

    def add(self, explanation: Explanation, group: str, box: Box | None, keep: bool) -> None:
        """Counts an image in."""
        height, width = explanation.pixels.shape[:2]
        part = None if box is None else inside(box, (height, width))
        if part is None or not part.any():
            self.without += 1
            return
        self.area.append(float(part.mean()))
        self.groups.append(group)
        for heat in explanation.maps:
            self.shares.setdefault(heat.head, []).append(share_inside(heat.values, part))
            self.decided.setdefault(heat.head, []).append(heat.label)
        if keep:
            self.examples.append(replace(explanation, box=box))

    def of_images(self) -> EvidenceShares:
        """The shares as arrays."""
        groups = np.unique(np.array(self.groups), return_inverse=True)[1].astype(np.int64)
        heads = {head: np.array(shares) for head, shares in self.shares.items()}
        decided = {head: np.array(labels, dtype=object) for head, labels in self.decided.items()}
        return EvidenceShares(groups, np.array(self.area), heads, decided)


def audited_runs(trained: TrainedRun, split: str) -> list[tuple[TrainedRun, Samples]]:
    """The runs whose networks answer for the images of a split, each with its images.

    Of a run in folds everybody validates, answered by the fold's network that never saw them.

    Raises:
        UserError: nobody is in the split; a fold is not finished; data is missing.
    """
    runs = members(trained) if split == "val" else [trained]
    found = []
    for run in runs:
        data = data_of(run)
        found.append((run, samples_of(data, split, run.config.data.val_fraction)))
    return found


def audit_evidence(
    trained: TrainedRun,
    split: str,
    part: Part,
    runs: list[tuple[TrainedRun, Samples]],
    progress: Progress,
    num_examples: int,
) -> tuple[EvidenceReport, list[Explanation]]:
    """Explains the images of a split, and counts how much of the evidence lies in a part of them.

    Args:
        trained: the run.
        split: the name of the split.
        part: what counts as inside.
        runs: as of ``audited_runs``.
        progress: notified of the work.
        num_examples: how many explanations are handed on.

    Returns:
        The report, and explanations of images that are spread evenly over the split.

    Raises:
        UserError: an image cannot be read; none has the part; a checkpoint is missing or damaged.
    """
    audit = EvidenceAudit()
    total = sum(len(samples) for _, samples in runs)
    kept = set(spread(total, num_examples).tolist())
    done = progress.stage("explaining", total, "images")
    count = 0
    for run, samples in runs:
        explainer = Explainer.of_run(run)
        for batch in explainer.batches(_inputs(samples, explainer)):
            for error in batch.errors.values():
                raise error
            for item, explanation in zip(batch.inputs, explainer.explain(batch), strict=True):
                row = int(item.name)
                box = part.find(samples, row, item.box, explainer.preprocessing)
                named = replace(explanation, image=str(samples.images[row]))
                audit.add(named, str(samples.groups[row]), box, count in kept)
                count += 1
            done(count)
    if not audit.area:
        raise UserError(
            f"--audit: none of {plural(total, 'image', 'images')} of {split} has a {part.name} in what the network sees"
        )
    return _report(trained, split, part, audit), audit.examples


def _inputs(samples: Samples, explainer: Explainer) -> Iterator[ImageInput]:
    """The images, named by their rows, with the boxes that they are cropped to."""
    preprocessing = explainer.preprocessing
    given = preprocessing.given(samples)
    for row, path in enumerate(samples.paths()):
        box = None if given is None else given[row]
        if preprocessing.detector is not None:
            box = preprocessing.locate(path)
        yield ImageInput(str(row), path, box)


def _report(trained: TrainedRun, split: str, part: Part, audit: EvidenceAudit) -> EvidenceReport:
    shares = audit.of_images()
    seed = derive(trained.config.seed, "evidence")
    heads = tuple(HeadEvidence.of(head, None, head_share(shares, head, seed)) for head in shares.heads)
    labels = tuple(
        HeadEvidence.of(task.name, label, head_share(shares, task.name, seed, label))
        for task in trained.config.space().tasks
        for label in task.classes
        if label in shares.decided[task.name]
    )
    return EvidenceReport(
        run=trained.folder.name,
        split=split,
        part=part.name,
        region=part.region if isinstance(part, NamedRegion) else None,
        num_images=len(shares.area),
        num_groups=int(shares.groups.max()) + 1,
        num_without=audit.without,
        cells=audit.examples[0].joint.cells if audit.examples else (0, 0),
        heads=heads,
        labels=labels,
        sentences=tuple(evidence_sentences(part.name, heads, labels)),
    )
