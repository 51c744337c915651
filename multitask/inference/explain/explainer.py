"""The explainer: a trained run that says where in an image the evidence for its predictions lies."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from multitask.errors import DivergedError, UserError
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.outputs import finite_log_probs
from multitask.evaluation.evidence import Explanation, HeatMap
from multitask.inference.explain import METHODS, Method
from multitask.inference.explain.methods import log_odds, to_heat
from multitask.inference.explain.trunk import ForwardPass, Trunk, detached, forward, prepare
from multitask.inference.grouped import answer_groups
from multitask.inference.kept_outputs import AnsweredBatch
from multitask.inference.prediction import PredictionBatch
from multitask.inference.run_spec import run_spec
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput, InputBatch, read_batches
from multitask.labels import JOINT
from multitask.model.ensemble import Ensemble, vote
from multitask.model.network import Network
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.networks import LoadedNetwork, load_network
from multitask.training.device import autocast

BATCH_SIZE = 16
"""Images at a time: a backward pass needs all that the forward pass made."""


class Explainer:
    """A run's networks, or those of its folds, that explain their predictions; any number of threads may ask.

    Args:
        loaded: the networks; nothing else may use them.
        spec: the run's.
    """

    def __init__(self, loaded: LoadedNetwork, spec: InferenceSpec) -> None:
        self.spec = spec
        self.preprocessing = spec.preprocessing()
        whole = loaded.network
        members = list(whole.networks) if isinstance(whole, Ensemble) else [whole]
        self._networks = [member for member in members if isinstance(member, Network)]
        assert len(self._networks) == len(members)
        for network in self._networks:
            prepare(network)
        self._device, self._dtype = loaded.device, loaded.dtype
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, device: str | None = None, allow_extensions: bool = False
    ) -> Explainer:
        """The explainer of a run's folder.

        Args:
            path: of it.
            device: as a config's; None: the run's own.
            allow_extensions: whether code that the run's config names may run.

        Raises:
            UserError: it is an exported file, there is no run, or it is damaged.
        """
        path = Path(path)
        if path.is_file():
            raise UserError(f"{path}: an exported file has no gradients to explain with; name the folder of its run")
        trained = read_run(path, allow_extensions=allow_extensions)
        if device is not None:
            trained = TrainedRun(trained.folder, trained.config.with_changes({"device": device}))
        return cls.of_run(trained)

    @classmethod
    def of_run(cls, trained: TrainedRun) -> Explainer:
        """The explainer of a run whose config was read; errors as of ``load``."""
        if trained.folder.is_ensemble:
            path = trained.folder
            raise UserError(f"{path.path}: is an ensemble of runs; explain one of them, as {path.member(0).path}")
        return cls(load_network(trained), run_spec(trained))

    def batches(self, inputs: Iterable[ImageInput]) -> Iterator[InputBatch]:
        """Images read ahead, as of ``read_batches``."""
        return read_batches(inputs, self.preprocessing, min(self.spec.batch_size, BATCH_SIZE))

    def explain(self, batch: InputBatch, predictions: PredictionBatch | None = None) -> list[Explanation]:
        """The explanations of the images of a batch that could be read, in their order; as of ``answer``."""
        return self.answer(batch, predictions)[1]

    def answer_groups(self, inputs: Iterable[ImageInput]) -> Iterator[AnsweredBatch]:
        """The predictions of all images of a job as members of their groups, as of ``grouped.answer_groups``."""
        return answer_groups(self.spec, ((batch, self._computed(batch)) for batch in self.batches(inputs)))

    def answer(
        self, batch: InputBatch, predictions: PredictionBatch | None = None
    ) -> tuple[PredictionBatch, list[Explanation]]:
        """The predictions of the images of a batch that could be read, and their explanations.

        Args:
            batch: the images.
            predictions: what is explained, as of ``answer_groups``; None: what the run predicts of each image alone.

        Raises:
            DivergedError: an output is NaN.
        """
        if not batch.readable:
            return PredictionBatch.concatenate([], self.spec.space), []
        with self._lock, torch.enable_grad(), autocast(self._device, self._dtype):
            images = self.preprocessing.normalise(torch.from_numpy(batch.pixels).to(self._device))
            passes = [forward(network, images) for network in self._networks]
            if predictions is None:
                names = [item.name for item in batch.readable]
                predictions = PredictionBatch.of(self.spec, self._outputs(passes), names)
            maps = [self._tasks_maps(passes, place, predictions) for place in range(self.spec.space.num_tasks)]
            joint = self._joint_maps(passes, predictions)
        return predictions, [
            Explanation(name, pixels, tuple(task[row] for task in maps), joint[row])
            for row, (name, pixels) in enumerate(zip(predictions.images, batch.pixels, strict=True))
        ]

    def _computed(self, batch: InputBatch) -> ModelOutputs | None:
        if not batch.readable:
            return None
        with self._lock, torch.no_grad(), autocast(self._device, self._dtype):
            images = self.preprocessing.normalise(torch.from_numpy(batch.pixels).to(self._device))
            return self._outputs([forward(network, images) for network in self._networks])

    def _outputs(self, passes: Sequence[ForwardPass]) -> ModelOutputs:
        """The networks' outputs as one, as the run's engine gives them."""
        each = [detached(one.log_probs) for one in passes]
        found = {}
        for name in each[0]:
            values = each[0][name] if len(each) == 1 else vote([one[name] for one in each])
            if bool(values.isnan().any()):
                raise DivergedError(f"{name if name == JOINT else f'heads.{name}'}: the network answers NaN")
            found[name] = finite_log_probs(values.cpu().double().log_softmax(dim=1).numpy())
        heads = {name: found[name] for name in self.spec.learned.task_names}
        return ModelOutputs(self.spec.learned, heads, found[JOINT] if self.spec.joint_term else None)

    def _tasks_maps(self, passes: Sequence[ForwardPass], place: int, predictions: PredictionBatch) -> list[HeatMap]:
        """The maps of one task: its head's; where one head learns the classes whole, those of the task's marginal."""
        task = self.spec.space.tasks[place]
        labels = predictions.labels[:, place]
        heats = []
        for one in passes:
            if task.name in one.heads and self.spec.learned == self.spec.space:
                score = log_odds(one.log_probs[task.name].float(), self._indices(labels))
                heats.append(_read([one.by_head[task.name]], one.heads[task.name], score))
            else:
                marginal = self.spec.space.marginal_log_probs(self._joint(one))[task.name]
                heats.append(_read(one.trunks, None, log_odds(marginal, self._indices(labels))))
        names = [task.classes[label] for label in labels]
        probs = predictions.probs[task.name][np.arange(len(labels)), labels]
        return _heat_maps(task.name, names, probs.tolist(), heats)

    def _joint_maps(self, passes: Sequence[ForwardPass], predictions: PredictionBatch) -> list[HeatMap]:
        """The maps of the class: those of all trunks together."""
        classes = predictions.predicted
        heats = []
        for one in passes:
            head = next(iter(one.heads.values())) if len(one.heads) == 1 else None
            heats.append(_read(one.trunks, head, log_odds(self._joint(one), self._indices(classes))))
        names = [self.spec.space.class_names[index] for index in classes]
        probs = predictions.class_probs[np.arange(len(classes)), classes]
        return _heat_maps(JOINT, names, probs.tolist(), heats)

    def _joint(self, one: ForwardPass) -> Tensor:
        """(B, C) log-probabilities of the classes, finite, since a class that cannot occur has no gradient."""
        if self.spec.joint_term:
            joint = one.log_probs[JOINT].float()
        else:
            heads = {name: one.log_probs[name].float() for name in self.spec.learned.task_names}
            joint = self.spec.learned.joint_log_probs(heads)
        return joint.where(joint.isfinite(), -1e4)

    def _indices(self, labels: np.ndarray) -> Tensor:
        return torch.from_numpy(labels).to(self._device)


class _Heat:
    """(B, H, W) heat, how many cells it was made of, and by which method."""

    def __init__(self, values: Tensor, cells: tuple[int, int], method: str) -> None:
        self.values, self.cells, self.method = values, cells, method


def choose(trunk: Trunk, head: nn.Module | None) -> Method:
    """The method for a trunk and a head."""
    return next(method for method in METHODS.values() if method.fits(trunk, head))


def _read(trunks: Sequence[Trunk], head: nn.Module | None, score: Tensor) -> _Heat:
    """The evidence of trunks of one kind: the sum of each one's, which are all in units of the score."""
    method = choose(trunks[0], head)
    evidence = torch.stack([method.evidence(trunk, head, score) for trunk in trunks]).float().sum(dim=0)
    height, width = trunks[0].images.shape[-2:]
    rows, columns = evidence.shape[1:]
    return _Heat(to_heat(evidence, (height, width)), (rows, columns), method.name)


def _heat_maps(head: str, labels: Sequence[str], probs: Sequence[float], heats: Sequence[_Heat]) -> list[HeatMap]:
    """The maps of B images: the mean of the networks', its greatest made 1 again."""
    mean = torch.stack([heat.values for heat in heats]).mean(dim=0)
    most = mean.amax(dim=(1, 2), keepdim=True)
    values = (mean / most.where(most > 0, 1.0)).cpu().numpy().astype(np.float32)
    cells, method = heats[0].cells, heats[0].method
    return [
        HeatMap(head, label, prob, one, cells, method) for label, prob, one in zip(labels, probs, values, strict=True)
    ]
