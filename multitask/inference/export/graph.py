"""The ONNX graph of a run: normalisation, networks, calibration and decode rule as one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from multitask.errors import UserError, first_line
from multitask.evaluation.decode.class_score import ClassScore, class_offsets
from multitask.evaluation.decode.outputs import FLOOR
from multitask.evaluation.metrics import FloatArray
from multitask.inference.export.exported import (
    CLASS,
    CLASS_PROBS,
    IMAGES,
    head_output,
    head_outputs,
    output_names,
)
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT, LabelSpace
from multitask.model.network import ByTask, Heads
from multitask.utils.quiet import only_errors

OPSET = 18
"""The version of the ONNX operators: the one that torch's exporter writes of itself in all its releases."""
TORCH = (2, 9)
"""The first release whose exporter works with the present onnxscript; those before end in an error of its passes."""


class Scorer(nn.Module):
    """``ClassScore`` in torch: log-probabilities of the heads to (N, C) scores.

    Args:
        score: the score.
        space: the label space of the heads.
    """

    offsets: Tensor
    impossible: Tensor
    gains: Tensor | None
    costs: Tensor | None

    def __init__(self, score: ClassScore, space: LabelSpace) -> None:
        super().__init__()
        self.space = space
        self.temperatures = dict(score.temperatures)
        self.heads_alone = score.heads_alone
        self.register_buffer("offsets", _constant(score.offsets))
        self.register_buffer("impossible", torch.from_numpy(~space.possible))
        self.register_buffer("gains", None if score.gains is None else _constant(score.gains))
        self.register_buffer("costs", None if score.costs is None else _constant(score.costs))

    def forward(self, log_probs: Mapping[str, Tensor]) -> Tensor:
        """(N, C) scores, -inf at cells that cannot occur."""
        if JOINT in log_probs and not self.heads_alone:
            total = self._scaled(JOINT, log_probs)
        else:
            total = torch.zeros((1,) * (1 + self.space.num_tasks))
            for place, task in enumerate(self.space.tasks, start=1):
                shape = [1] * (1 + self.space.num_tasks)
                shape[0], shape[place] = -1, task.num_classes
                total = total + self._scaled(task.name, log_probs).reshape(shape)
            total = total.reshape(-1, self.space.num_classes)
        total = (total + self.offsets).masked_fill(self.impossible, -torch.inf)
        if self.gains is None or self.costs is None:
            return total
        values = self.gains * (2 * total.softmax(dim=1) - self.costs)
        return values.masked_fill(self.impossible, -torch.inf)

    def _scaled(self, name: str, log_probs: Mapping[str, Tensor]) -> Tensor:
        return log_probs[name].clamp(min=FLOOR) / self.temperatures.get(name, 1.0)


class _Numbered(nn.Module):
    """The modules of ``ByTask`` by number: torch writes a module's path as code, in which ``class`` is no name."""

    def __init__(self, modules: ByTask) -> None:
        super().__init__()
        self._names = tuple(modules)
        self.numbered = nn.ModuleList(modules.values())

    def items(self) -> Iterator[tuple[str, nn.Module]]:
        """As of ``ByTask``."""
        return zip(self._names, self.numbered, strict=True)


class ExportedNetwork(nn.Module):
    """All that an exported file computes: images to the outputs of ``output_names``.

    Args:
        network: the run's, in evaluation mode; (N, 3, H, W) to {head: (N, C_t) log-probabilities}. It is for nothing
            else from now on, since its heads are named anew.
        spec: its specification.

    Attributes:
        names: of the outputs, in order.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, spec: InferenceSpec) -> None:
        super().__init__()
        for module in list(network.modules()):
            if isinstance(module, Heads) and isinstance(module.heads, ByTask):
                module.heads = _Numbered(module.heads)  # type: ignore[assignment]
        self.network = network
        self.space, self.learned = spec.space, spec.learned
        self.heads = tuple(head_outputs(spec))
        std = np.array(spec.std)
        self.register_buffer("scale", _constant(1 / (255 * std))[:, None, None])
        self.register_buffer("shift", _constant(-np.array(spec.mean) / std)[:, None, None])
        shifts = {name: np.array(values) for name, values in spec.shifts.items()}
        calibrated = ClassScore(spec.temperatures, class_offsets(shifts, spec.learned, spec.joint_term))
        self.calibrated = Scorer(calibrated, spec.learned)
        score = spec.rule.class_score(spec.learned, spec.joint_term)
        self.decided = None if score is None else Scorer(score, spec.learned)
        self.names = tuple(output_names(spec, self.decides))

    @property
    def decides(self) -> bool:
        """Whether there is an output ``class``: a decode rule of one's own may have no ``class_score``."""
        return self.decided is not None

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, H, W, 3) uint8 to the outputs, by name, in order."""
        # Transposed before they are normalised: ONNX Runtime broadcasts over a last axis of three values slowly.
        answers = self.network(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)
        log_probs = {name: answers[name].float() for name in self.heads}
        outputs = {head_output(name): values for name, values in log_probs.items()}
        if self.learned != self.space:
            (flat,) = (log_probs[name] for name in self.learned.task_names)
            tasks = self.space.marginal_log_probs(flat.masked_fill(self.calibrated.impossible, -torch.inf))
            outputs |= {head_output(name): values.log_softmax(dim=1) for name, values in tasks.items()}
        outputs[CLASS_PROBS] = self.calibrated(log_probs).softmax(dim=1)
        if self.decided is not None:
            outputs[CLASS] = self.decided(log_probs).argmax(dim=1)
        return {name: outputs[name] for name in self.names}


def to_onnx(network: nn.Module, names: Sequence[str], image_size: tuple[int, int]) -> bytes:
    """The network as the content of an ONNX file, in float32, for any number of images.

    Args:
        network: (N, H, W, 3) uint8 images to the outputs of these names, in this order; in evaluation mode. Its
            attention is no longer fused afterwards, where torch cannot export that.
        names: of the outputs.
        image_size: H and W.

    Raises:
        UserError: torch is too old, or cannot export an operation of it; the file would be larger than one ONNX file
            can be.
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < TORCH:
        wanted = ".".join(map(str, TORCH))
        raise UserError(f"to export a run needs torch {wanted} or later, found {torch.__version__}")
    try:
        try:
            return _onnx(network, names, image_size)
        except _EXPORT_ERRORS as error:
            if isinstance(error, UserError) or not _unfuse_attention(network):
                raise
        return _onnx(network, names, image_size)
    except UserError:
        raise
    except _EXPORT_ERRORS as error:
        cause = error.__cause__ or error  # torch's own says which of its steps failed, its cause says why
        raise UserError(f"torch cannot export this network: {first_line(cause)}") from None


_EXPORT_ERRORS = (RuntimeError, TypeError, NotImplementedError, ValueError)


def _unfuse_attention(network: nn.Module) -> bool:
    """Has timm's attention computed step by step; whether any was not.

    Of more than four axes, as of windows in Hiera and NesT, fused attention is none that the exporter knows.
    """
    fused = [module for module in network.modules() if getattr(module, "fused_attn", False)]
    for module in fused:
        module.fused_attn = False  # type: ignore[assignment]
    return bool(fused)


def _onnx(network: nn.Module, names: Sequence[str], image_size: tuple[int, int]) -> bytes:
    # Of two images: with a batch of one, what attends to places is silently fixed at one image.
    example = torch.zeros((2, *image_size, 3), dtype=torch.uint8)
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[IMAGES],
            output_names=list(names),
            dynamic_shapes={"images": {0: torch.export.Dim("N")}},
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
    for node in model.graph.node:
        node.doc_string = ""
        scopes = [prop.value for prop in node.metadata_props if prop.key == "pkg.torch.onnx.name_scopes"]
        del node.metadata_props[:]  # stack traces, with the paths of this machine
        if "backbone" not in "".join(scopes[:1]):
            node.name = f"{FLOAT_NODE}{node.name}"
    for value in (*model.graph.value_info, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not first.dim_param:  # as where code takes the batch's size as a number: torch says nothing
        raise UserError(f"torch exports this network for batches of {first.dim_value} images only")
    return bytes(model.SerializeToString())


FLOAT_NODE = "float/"
"""What the names of nodes outside of the backbone begin with: they are not quantised."""


def _constant(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of itself."""
    with only_errors("torch.onnx"), only_errors("onnxscript"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
