"""From predictions to a report, with the decode rules fitted on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from multitask.data.empty_cells import EmptyCells
from multitask.data.image_facts import ImageFacts
from multitask.data.per_group import per_group_tasks
from multitask.data.samplers import SamplerSettings
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.evaluation.conformity import APS
from multitask.evaluation.decode import Priors
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.decode.prior import frequencies
from multitask.evaluation.decode_comparison import Decided, decide, decide_and_fit, joint_term
from multitask.evaluation.grouped import GroupedAnswers, decide_grouped, decide_grouped_and_fit
from multitask.evaluation.grouped_scores import grouped_scores
from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.networks_schema import EnsembleScores, FoldScores
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.promise_scores import selective_scores, set_scores
from multitask.evaluation.report_schema import ClassDistribution, RunReport, TrainingFacts
from multitask.evaluation.settings import EvaluationSettings
from multitask.evaluation.summary import distribution, summarise
from multitask.labels import MISSING, LabelSpace
from multitask.losses.objective import Objective
from multitask.progress import EpochRecord, kept_epoch
from multitask.runs.build_losses import prior_shifts
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json
from multitask.utils.seeds import derive


def decode_priors(objective: Objective, samples: Samples, sampler: SamplerSettings) -> Priors:
    """The priors in the outputs of a network that was trained on these samples, and those of the samples."""
    natural = natural_priors(samples, objective.learned)
    shifts = prior_shifts(objective, samples, sampler)
    return Priors({name: prior + shifts.get(name, 0.0) for name, prior in natural.items()}, natural)


def natural_priors(samples: Samples, learned: LabelSpace) -> dict[str, FloatArray]:
    """The log-priors of samples' labels, as of ``frequencies``; of a flat head, by whole classes alone."""
    labels = Targets.of(samples, learned, joint=False).labels
    return frequencies(np.maximum(labels, MISSING), learned)


def read_rules(folder: RunFolder, settings: EvaluationSettings) -> FittedRules | None:
    """The decode rules that were fitted when the run was scored; None where it was not and none is needed.

    Raises:
        UserError: the file is damaged, or is missing and the run's rule must be fitted.
    """
    if folder.decode.is_file():
        return FittedRules.read(folder.decode, settings.learned, settings.space)
    if settings.decode.needs_validation:
        raise UserError(f"{folder.decode}: no such file; `multitask evaluate {folder.path}` writes it")
    return None


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """The facts in a report beside its scores.

    Attributes:
        class_distribution: per split.
        empty_cells: the classes without images.
        training: how the network came about.
        images: what it sees of the split's images.
        folds: of a run in folds, on all groups.
        ensemble: of an ensemble of runs, its decoded predictions to their scores beside its members'.
    """

    class_distribution: dict[str, ClassDistribution]
    empty_cells: EmptyCells
    training: TrainingFacts
    images: ImageFacts
    folds: tuple[FoldScores, ...] | None = None
    ensemble: Callable[[Predictions], EnsembleScores] | None = None


def write_report(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    settings: EvaluationSettings,
    data: DataModule,
    history: Sequence[EpochRecord],
    images: ImageFacts | None = None,
) -> RunReport:
    """Writes the predictions and the report of one split, as ``write_scores``; returns the report.

    ``images`` says what the network sees of its images: ``ImageStore.facts``.
    """
    facts = ReportFacts(
        class_distribution=class_distribution(data),
        empty_cells=data.dataset.empty_cells,
        training=training_facts(folder, settings, history),
        images=images or ImageFacts(),
    )
    return write_scores(folder, split, predictions, settings, data.dataset.training_samples(), facts)


def class_distribution(data: DataModule) -> dict[str, ClassDistribution]:
    """Per split that is not empty, the counts of each class."""
    samples = data.samples
    return {
        name: distribution(samples.labels[indices], samples.groups[indices], data.space)
        for name, indices in data.split.parts().items()
        if len(indices)
    }


def training_facts(folder: RunFolder, settings: EvaluationSettings, history: Sequence[EpochRecord]) -> TrainingFacts:
    """How the network of a run came about."""
    began, soup = folder.read_environment("num_parameters", "device"), folder.read_soup()
    return TrainingFacts(
        best_epoch=kept_epoch(history),
        num_epochs=len(history) if soup is None else soup.num_epochs,
        monitor=settings.monitor,
        kept=settings.kept,
        seconds=math.fsum(row.seconds or 0.0 for row in history) if soup is None else soup.seconds,
        seed=settings.seed,
        backbone=settings.backbone,
        sharing=settings.sharing,
        num_parameters=began.num_parameters,
        device=began.device,
    )


def write_scores(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    settings: EvaluationSettings,
    train: Samples,
    facts: ReportFacts,
    priors: Priors | None = None,
) -> RunReport:
    """Writes the predictions of one split, and a report of their scores and of ``facts``; returns the report.

    On the groups that validate, the decode rules are fitted and cross-fitted, and kept for all other images, on which
    they decide as they were kept.

    Args:
        folder: the run.
        split: of the predictions; ``<split>-<views>`` where views were averaged.
        predictions: as the network gave them.
        settings: the run's.
        train: the samples that trained.
        facts: to stand in the report too.
        priors: in the predictions; None: as the run's objective and ``train`` make them.
    """
    created = folder.read_environment("created").created
    assert created is not None
    seed = derive(settings.seed, "resample")
    answers = _decide(folder, split, predictions, settings, train, seed, priors)
    decided = answers.single
    if decided is not None:
        predictions = replace(predictions, predicted=decided.predicted)
    decode, centres = settings.decode.model_dump(mode="json"), folder.read_data().centres
    summary = summarise(predictions, decode, seed, settings.unseen, centres)
    report = RunReport(
        run=folder.name,
        split=split,
        created=created,
        num_images=summary.num_images,
        num_groups=summary.num_groups,
        decode=summary.decode,
        joint=summary.joint,
        tasks=summary.tasks,
        attribution=summary.attribution,
        unseen=summary.unseen,
        decode_rules=None if decided is None else decided.comparison,
        joint_term=joint_term(predictions, seed),
        grouped=None if answers.grouped is None else grouped_scores(answers.grouped, predictions, seed, centres),
        sets=None if decided is None else set_scores(predictions, decided, seed),
        adaptive_sets=None if decided is None else set_scores(predictions, decided, seed, APS),
        selective=None if decided is None else selective_scores(predictions, decided, seed),
        folds=facts.folds,
        soup=folder.read_soup(),
        ensemble=None if facts.ensemble is None else facts.ensemble(predictions),
        class_distribution=facts.class_distribution,
        empty_cells=facts.empty_cells,
        training=facts.training,
        crop=facts.images.crop,
        fit=facts.images.fit,
        first_frames=facts.images.first_frames,
    )
    write_atomically(folder.predictions(split), predictions.to_csv())
    write_atomically(folder.report(split), record_to_json(report))
    return report


@dataclass(frozen=True, eq=False)
class _Answers:
    """The answers to a split, image by image and to groups; None where nothing is decided, or no task is per group."""

    single: Decided | None
    grouped: GroupedAnswers | None


def _decide(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    settings: EvaluationSettings,
    train: Samples,
    seed: int,
    priors: Priors | None,
) -> _Answers:
    """The answers by the run's decode rules, which are fitted, and kept, on the groups that validate."""
    if split.partition("-")[0] != "val":
        found = read_rules(folder, settings)
        if found is None:
            return _Answers(None, None)
        grouped = None if found.grouped is None else decide_grouped(predictions, found.grouped)
        return _Answers(decide(predictions, found, seed), grouped)
    priors = priors or decode_priors(settings.objective, train, settings.sampler)
    decode_seed = derive(settings.seed, "decode")
    single = decide_and_fit(predictions, settings.decode, priors, decode_seed, seed)
    kept, grouped = single.kept, None
    if names := per_group_tasks(train):
        grouped = decide_grouped_and_fit(predictions, names, settings.decode, priors, decode_seed)
        kept = kept.model_copy(update={"grouped": grouped.kept})
    if split == "val":  # of views it is compared what they bring; for new images they are not kept
        write_atomically(folder.decode, kept.to_json())
    return _Answers(single, grouped)
