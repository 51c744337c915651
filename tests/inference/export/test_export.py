from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.plain import Joint
from multitask.inference.engines.onnxruntime import OnnxRuntimeSettings
from multitask.inference.export import export as export_module
from multitask.inference.export.check import MOST, ROUNDINGS, TOLERANCE, rounding
from multitask.inference.export.export import ExportSource
from multitask.inference.export.graph import ExportedNetwork, _quietly, to_onnx
from multitask.inference.export.images import LEAST_IMAGES, CheckImages, check_images
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec
from multitask.runs.config import TrainedRun, read_run

from timm.models.nest import Attention  # isort: skip


class Shade(nn.Module):
    """Log-probabilities by the mean of an image."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        shade = images.mean(dim=(1, 2, 3))[:, None]
        sizes = {"colour": 2, "size": 3}
        return {name: (shade * torch.arange(num)).log_softmax(dim=1) for name, num in sizes.items()}


def make_source(network: nn.Module, spec: InferenceSpec, graph_of: nn.Module | None = None) -> ExportSource:
    """A network, and the graph of it or of another one."""
    pixels = np.random.default_rng(0).integers(0, 256, (LEAST_IMAGES, 8, 8, 3), dtype=np.uint8)
    exported = ExportedNetwork(graph_of or network, spec).eval()
    model = to_onnx(exported, exported.names, spec.image_size)
    return ExportSource(ExportedNetwork(network, spec).eval(), spec, CheckImages(pixels, "random", "gone"), model)


class Lighter(Shade):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images + 0.01)


def test_a_graph_that_differs_from_the_run_leaves_no_file(shade_spec: InferenceSpec, tmp_path: Path) -> None:
    source = make_source(Shade(), shade_spec, Lighter())
    path = tmp_path / "a.onnx"
    path.write_text("before")
    with pytest.raises(UserError, match=r"differ from the run's by .* above 0.0001; no file is written"):
        source.write(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.onnx"]
    assert path.read_text() == "before"


class Magnifying(Shade):
    """A shade's last bits decide: 65,536 times as much of its rounding is in the outputs."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        wave = torch.sin(65536 * self.shade(images))[:, None]
        return {name: (wave * torch.arange(num)).log_softmax(dim=1) for name, num in (("colour", 2), ("size", 3))}

    def shade(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))


class OtherOrder(Magnifying):
    """The same, but for the order in which a shade is summed."""

    def shade(self, images: Tensor) -> Tensor:
        return images.mean(dim=3).mean(dim=1).mean(dim=1)


class AlmostSame(Magnifying):
    """A shade that is wrong, by more than rounding."""

    def shade(self, images: Tensor) -> Tensor:
        return super().shade(images) + 1e-6


def test_what_is_taken_for_rounding_is_as_much_as_the_network_makes_of_it(
    shade_spec: InferenceSpec, tmp_path: Path
) -> None:
    source = make_source(Magnifying(), shade_spec, OtherOrder())
    own = rounding(Magnifying(), source.images.pixels, shade_spec)
    assert TOLERANCE < own < MOST / ROUNDINGS
    assert rounding(Shade(), source.images.pixels, shade_spec) < 1e-6
    result = source.write(tmp_path / "a.onnx")
    assert TOLERANCE < result.exported.record.difference.log_probs <= ROUNDINGS * own
    assert result.exported.record.difference.agreement == 1
    assert any(note.startswith("this network magnifies rounding: its outputs") for note in result.notes)


def test_a_graph_that_differs_by_more_than_the_networks_own_rounding_is_refused(
    shade_spec: InferenceSpec, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError,
        match=r"differ from the run's by 0\.\d+ .* the run's own in float32 and float64 differ by .*; no file",
    ):
        make_source(Magnifying(), shade_spec, AlmostSame()).write(tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


class Windows(Shade):
    """A shade and attention in windows, fused, of five axes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention = Attention(8, num_heads=2)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images + self.attention(images))


def test_fused_attention_that_onnx_lacks_is_exported_step_by_step(shade_spec: InferenceSpec, tmp_path: Path) -> None:
    assert Windows().attention.fused_attn
    result = make_source(Windows().eval(), shade_spec).write(tmp_path / "a.onnx")
    assert result.exported.record.difference.log_probs < 1e-5


class Fixed(Shade):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {name: values + torch.zeros(len(images), 1) for name, values in super().forward(images).items()}


def test_a_network_that_torch_fixes_at_one_batch_is_refused(shade_spec: InferenceSpec) -> None:
    with pytest.raises(UserError, match="for batches of 2 images only"):
        make_source(Fixed(), shade_spec)


class Unknown(Shade):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {
            name: torch.linalg.eigvals(values.T @ values).real[None] for name, values in super().forward(images).items()
        }


def test_an_operation_that_onnx_lacks_is_one_line(shade_spec: InferenceSpec) -> None:
    with pytest.raises(UserError, match="torch cannot export this network: ") as caught:
        make_source(Unknown(), shade_spec)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_exporter_that_is_too_old_is_one_line(shade_spec: InferenceSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.0+cu126")
    with pytest.raises(UserError, match=r"^to export a run needs torch 2\.9 or later, found 2\.8\.0\+cu126"):
        make_source(Shade(), shade_spec)


class Own(Joint):
    def class_score(self, space: object, joint: bool) -> None:
        return None


def test_a_rule_without_a_score_leaves_the_class_out(shade_spec: InferenceSpec, tmp_path: Path) -> None:
    spec = shade_spec.model_copy(update={"rule": Own()})
    result = make_source(Shade(), spec).write(tmp_path / "a.onnx")
    assert result.exported.record.decides is False
    assert any("has no class_score" in note for note in result.notes)
    assert any("random images, since the run's cannot be read: gone" in note for note in result.notes)
    engine = OnnxRuntimeSettings().open_exported(result.exported)
    outputs = engine.outputs(np.zeros((2, 8, 8, 3), np.uint8))
    assert isinstance(outputs, ModelOutputs)
    assert len(outputs) == 2


def test_int8_needs_training_images(shade_spec: InferenceSpec, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--precision int8: is scaled by the run's training images, but gone"):
        make_source(Shade(), shade_spec).write(tmp_path / "a.onnx", "int8")
    assert not list(tmp_path.iterdir())


def test_images_that_are_gone_are_replaced_by_noise(trained_path: Path, tmp_path: Path) -> None:
    trained = read_run(trained_path)
    spec = Predictor.load(trained_path).spec
    found = check_images(trained, spec)
    assert (found.kind, found.pixels.shape[1:]) == ("training", (32, 24, 3))
    gone = TrainedRun(trained.folder, trained.config.with_changes({"data.root": str(tmp_path)}))
    noise = check_images(gone, spec)
    assert (noise.kind, len(noise.pixels)) == ("random", LEAST_IMAGES)
    assert str(tmp_path) in noise.why


def test_what_export_takes_and_is_not_installed_is_named(
    missing_module: Callable[..., None], trained_path: Path
) -> None:
    missing_module("onnxscript")
    with pytest.raises(UserError, match=r"onnxscript is not installed; `pip install 'multitask\[onnx\]'`"):
        export_module.require_exporter()


@pytest.mark.parametrize("logger", ["torch.onnx", "onnxscript.optimizer._constant_folding"])
def test_what_the_exporter_says_of_itself_is_not_heard(logger: str, caplog: pytest.LogCaptureFixture) -> None:
    with _quietly():
        logging.getLogger(logger).warning("Skipping constant folding for op Split with multiple outputs.")
    assert not caplog.records
