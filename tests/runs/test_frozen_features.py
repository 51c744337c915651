"""Features that stand for images: when they can, of any backbone, in several views, in half of the space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from multitask.config import Config
from multitask.data.augment import Augmentation
from multitask.data.augment_settings import AugmentSettings, MixSettings
from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoded
from multitask.model.settings import BackboneSettings
from multitask.progress import Progress
from multitask.runs.build import build_network
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.frozen_features import can_stand_in
from multitask.runs.run import run
from multitask.settings import validate
from multitask.training.checkpoint import load_checkpoint
from multitask.utils.seeds import derive
from tests.runs.same_run import (
    MakeConfig,
    StoppedError,
    assert_same_but_for_rounding,
    assert_same_run,
    history,
    stop_after,
)

import timm  # isort: skip  (after multitask, which makes it importable)

PLAIN = AugmentSettings(strength=0.0)
CPU = torch.device("cpu")
FAMILIES = ("test_efficientnet", "test_convnext", "test_vit", "test_resnet", "test_nfnet", "test_byobnet")
MakeFrozen = Callable[..., Config]


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("features-*.npy"))


@pytest.fixture
def frozen(tiny: MakeConfig, tmp_path: Path) -> MakeFrozen:
    """Makes the config of a run on a frozen backbone of a name, whose features are kept in ``tmp_path/kept``."""

    def make(changes: dict[str, Any] | None = None, name: str = "test_resnet") -> Config:
        file = tmp_path / f"{name}.pth"
        if not file.exists():
            torch.manual_seed(0)
            torch.save(timm.create_model(name, num_classes=0).state_dict(), file)
        backbone = {"name": name, "weights": str(file), "freeze": "all"}
        base = {"model.backbone": backbone, "augment.strength": 0, "data.cache_dir": str(tmp_path / "kept")}
        return tiny({**base, "training.epochs": 1, **(changes or {})})

    return make


@pytest.mark.parametrize(
    ("frozen", "augment", "expected"),
    [
        (True, PLAIN, True),
        (False, PLAIN, False),
        (True, AugmentSettings(strength=0.1), False),
        (True, AugmentSettings(strength=0.0, mix=MixSettings(mixup_prob=0.1)), False),
    ],
)
def test_features_stand_in_where_nothing_changes_them(frozen: bool, augment: AugmentSettings, expected: bool) -> None:
    settings = BackboneSettings(weights="none")
    assert can_stand_in(SimpleNamespace(frozen=frozen), settings, augment) is expected  # type: ignore[arg-type]


def features_by_image(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, set[bytes]]:
    """The bits of every image that passes a backbone from now on, and of its features and map."""
    found: dict[bytes, set[bytes]] = {}
    forward = Backbone.forward_features

    def noting(backbone: Backbone, images: Tensor) -> Encoded:
        encoded = forward(backbone, images)
        assert encoded.map is not None
        for image, pooled, places in zip(images, encoded.pooled, encoded.map, strict=True):
            bits = [values.detach().contiguous().numpy().tobytes() for values in (image, pooled, places)]
            found.setdefault(bits[0], set()).add(bits[1] + bits[2])
        return encoded

    monkeypatch.setattr(Backbone, "forward_features", noting)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_on_kept_maps_is_that_from_images_whatever_the_backbone(
    name: str, frozen: MakeFrozen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = features_by_image(monkeypatch)
    size = {"test_vit": [32, 48], "test_convnext": [52, 64]}.get(name, [48, 64])
    changes = {"heads.age.net": {"name": "attention", "width": 16}, "data.image_size": size}
    config = frozen({**changes, "training.epochs": 2}, name)
    run(config, tmp_path / "plain")
    for each in ("first", "second"):
        run(config, tmp_path / each, reuse=tmp_path / "reuse")
    # Some processors round an image otherwise in a batch of another size, and features are computed in larger ones.
    alike = all(len(bits) == 1 for bits in found.values())
    for each in ("first", "second"):
        (assert_same_run if alike else assert_same_but_for_rounding)(tmp_path / "plain", tmp_path / each)
    assert len(kept(tmp_path / "reuse")) == 1


# --- kept because the config says so ------------------------------------------------------------------------------


def test_a_single_run_keeps_what_it_is_told_to_keep(frozen: MakeFrozen, tmp_path: Path) -> None:
    run(frozen(), tmp_path / "plain")
    assert kept(tmp_path / "kept") == []
    result = run(frozen({"model.backbone.features": {}}), tmp_path / "run")
    assert len(kept(tmp_path / "kept")) == 1
    other = run(frozen(), None, reuse=tmp_path / "reuse")
    assert result.report is not None
    assert other.report is not None
    assert result.report.joint == other.report.joint


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_folder_is_for_features_also_where_no_image_is_kept(cache: str, frozen: MakeFrozen, tmp_path: Path) -> None:
    run(frozen({**VIEWS, "data.cache": cache, "data.cache_dir": str(tmp_path / "own")}))
    assert len(kept(tmp_path / "own")) == 3


def test_half_is_half_as_large(frozen: MakeFrozen, tmp_path: Path) -> None:
    sizes = []
    for number, storage in enumerate(("exact", "half")):
        run(frozen({"model.backbone.features": {"storage": storage}, "heads.age.net": "attention"}))
        assert len(kept(tmp_path / "kept")) == number + 1
        sizes = sorted(path.stat().st_size for path in kept(tmp_path / "kept"))
    assert 1.9 < sizes[1] / sizes[0] <= 2


VIEWS = {"augment.strength": 0.5, "model.backbone.features": {"views": 3}}
TWO = {  # sources, of which one alone is augmented
    "data.root": "",
    "data.source": {
        "name": "several",
        "sources": {
            name: {"root": "/nowhere", "source": {"name": "competition"}, "strength": strength}
            for name, strength in (("a", 0.0), ("b", 0.2))
        },
    },
}
COVERED = {
    f"data.source.sources.b.{key}": to for key, to in (("strength", 0.0), ("tasks", ["gender"]), ("cover.share", 0.7))
}


def test_views_are_those_of_augmented_images_and_the_plain_ones_are_served_to_validate(
    frozen: MakeFrozen, tmp_path: Path
) -> None:
    config = frozen(VIEWS)
    data, images = DataModule(config), DataModule(config)
    network = build_network(config, CPU)
    data.use_features(network.backbone, Progress())
    features = data.normaliser
    count = len(data.samples)

    def encoded(pixels: Any) -> torch.Tensor:
        with torch.inference_mode():
            network.eval()
            return network.backbone(images.preprocessing.normalise(torch.from_numpy(pixels)))  # type: ignore[no-any-return]

    plain = images.store.images(Progress()).take(np.arange(count))
    (val,) = {len(part) for part in (data.split.val,)}
    served = torch.cat([batch.images for batch in data.batches("val", Progress(), CPU).epoch(0)])
    assert served.shape[0] == val
    torch.testing.assert_close(served, encoded(plain[data.split.val]))

    every = torch.stack([torch.from_numpy(view.copy()) for view in features._views])  # type: ignore[union-attr]
    assert every.shape[:2] == (3, count)
    torch.testing.assert_close(every[0], encoded(plain))
    assert not torch.allclose(every[1], every[0])
    assert not torch.allclose(every[1], every[2])
    rows = {tuple(row.tolist()) for row in every.flatten(0, 1)}
    seen = [tuple(row.tolist()) for row in _training_rows(data, 1)]
    assert len(seen) == len(data.split.train)
    assert set(seen) <= rows
    assert 0.1 < np.mean([row in {tuple(r.tolist()) for r in every[0]} for row in seen]) < 0.6
    assert set(seen) != {tuple(row.tolist()) for row in _training_rows(data, 2)}
    seed = derive(config.seed, "views")
    batch = np.array_split(plain, -(-count // 16))[0]
    one = Augmentation(config.augment)(batch, derive(seed, "augment", 1, 0))
    torch.testing.assert_close(every[1][: len(one)], encoded(one))


def _training_rows(data: DataModule, epoch: int) -> torch.Tensor:
    return torch.cat([batch.images for batch in data.batches("train", Progress(), CPU, train=True).epoch(epoch)])


def test_a_run_on_views_is_the_same_again_resumed_and_in_another_folder(frozen: MakeFrozen, tmp_path: Path) -> None:
    config = frozen({**VIEWS, "training.epochs": 3, "heads.age.net": "attention"})
    run(config, tmp_path / "one")
    assert len(kept(tmp_path / "kept")) == 3
    run(config, tmp_path / "other", reuse=tmp_path / "reuse")
    assert_same_run(tmp_path / "one", tmp_path / "other")
    assert kept(tmp_path / "reuse") == []
    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", on_epoch=stop_after(1))
    run(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "one", tmp_path / "parts")


@pytest.mark.parametrize(
    ("changes", "files"),
    [
        ({"training.lr": 0.1, "training.batch_size": 7}, 3),
        ({"model.backbone.features": {"views": 5}}, 5),
        ({"augment.strength": 0.4}, 5),  # the plain ones are shared
        ({"augment.flip": False}, 5),
        ({"seed": 5}, 5),
        ({"model.backbone.features": {"views": 3, "storage": "half"}}, 6),
        ({"seed": 5, "model.backbone.features": {"views": 3, "seed": 0}}, 3),  # that of the first config
        ({"model.backbone.features": {"views": 3, "seed": 5}}, 5),
    ],
    ids=str,
)
def test_views_are_shared_by_all_that_leave_them_as_they_are(
    changes: dict[str, Any], files: int, frozen: MakeFrozen, tmp_path: Path
) -> None:
    run(frozen(VIEWS))
    run(frozen({**VIEWS, **changes}))
    assert len(kept(tmp_path / "kept")) == files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.backbone.freeze": "none"},
            r"model\.backbone\.features: would be ignored, since freeze is none; use all or how many stages, or leave",
        ),
        ({"augment.strength": 0.0}, r"model\.backbone\.features\.views: 3 views would be alike.*strength is 0"),
        ({"augment.colour": 0.0, "augment.geometry": 0.0, "augment.noise": 0.0, "augment.occlusion": 0.0}, "be alike"),
        ({"model.backbone.features": {}}, r"model\.backbone\.features: would keep plain images alone.*is 0\.5"),
        (
            {"model.backbone.features": {}, "augment.strength": 0.0, **TWO},
            r"would keep plain images alone, but data\.source\.sources\.b\.strength is 0\.2; ",
        ),
        (
            {"model.backbone.features": {}, "augment.strength": 0.0, **TWO, **COVERED},
            r"would keep plain images alone, but data\.source\.sources\.b\.cover\.share is 0\.7; .* or the share to 0",
        ),
        ({"augment.mix.mixup_prob": 0.5}, r"augment\.mix: mixes images, which features that are kept"),
        ({"model.backbone.features": {"seed": 1}}, r"model\.backbone\.features\.seed: 1 would be ignored.*set views"),
        ({"model.backbone.features": {"views": 0}}, r"model\.backbone\.features\.views"),
        ({"model.backbone.features": {"storage": "int8"}}, r"model\.backbone\.features\.storage"),
    ],
    ids=str,
)
def test_features_that_could_not_stand_for_images_are_refused(
    changes: dict[str, Any], message: str, frozen: MakeFrozen
) -> None:
    with pytest.raises(UserError, match=message):
        validate(Config, frozen({**VIEWS, **changes}).model_dump(mode="json"))


# --- of a backbone that is frozen in part -------------------------------------------------------------------------

OPENED: dict[str, Any] = {
    "training.epochs": 2,
    "training.optimizer": {"layer_decay": 0.7},
    "training.ema": {"decay": 0.9},
    "heads.age.net": {"name": "attention", "width": 16},
    "joint": {"term": {"name": "pairwise"}},
}


@pytest.mark.parametrize(
    ("name", "freeze"), [("test_resnet", 3), ("test_vit", 2), ("test_convnext", 3), ("test_efficientnet", 3)]
)
@pytest.mark.parametrize("sharing", ["shared", "flat"])
def test_a_run_of_the_last_stages_on_what_the_first_ones_gave_is_that_from_images(
    name: str, freeze: int, sharing: str, frozen: MakeFrozen, tmp_path: Path
) -> None:
    size = {"test_vit": [32, 48], "test_convnext": [52, 64]}.get(name, [48, 64])
    changes = OPENED if sharing == "shared" else {"training.epochs": 2, "model.sharing": {"name": "flat"}}
    config = {**changes, "model.backbone.freeze": freeze, "data.image_size": size}
    run(frozen(config, name), tmp_path / "plain")
    run(frozen({**config, "model.backbone.features": {}}, name), tmp_path / "run")
    assert len(kept(tmp_path / "kept")) == 1
    for one, other in zip(history(tmp_path / "plain"), history(tmp_path / "run"), strict=True):
        assert other["train"]["loss"] == pytest.approx(one["train"]["loss"], rel=1e-3)
    plain, found = (load_checkpoint(tmp_path / part / "checkpoints" / "best.safetensors") for part in ("plain", "run"))
    assert plain["network"].keys() == found["network"].keys()
    for key, value in plain["network"].items():
        torch.testing.assert_close(found["network"][key], value, rtol=0.02, atol=2e-3)


def test_a_run_of_the_last_stages_is_the_same_again_resumed_and_answers_images(
    frozen: MakeFrozen, tmp_path: Path
) -> None:
    config = frozen({**OPENED, **VIEWS, "model.backbone.freeze": 3, "training.epochs": 3})
    result = run(config, tmp_path / "one")
    with pytest.raises(StoppedError):
        run(config, tmp_path / "parts", on_epoch=stop_after(1))
    changing = load_checkpoint(tmp_path / "parts" / "checkpoints" / "last.safetensors")["network"]
    assert not any(key.startswith("backbone.body.layer1") for key in changing)
    assert any(key.startswith("backbone.body.layer4") for key in changing)
    run(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "one", tmp_path / "parts")
    assert len(kept(tmp_path / "kept")) == 3
    again = evaluate(read_run(tmp_path / "one"), "val", Progress())
    assert result.report is not None
    assert again.joint.macro_f1 == pytest.approx(result.report.joint.macro_f1, abs=0.02)


def test_other_frozen_stages_give_features_of_their_own(frozen: MakeFrozen, tmp_path: Path) -> None:
    size = {"model.backbone.features": {}, "data.image_size": [32, 48]}  # after any block of a ViT a row is as long
    weights = tmp_path / "test_vit.pth"
    for num, (freeze, seed) in enumerate(((1, 0), (2, 0), (2, 0), (2, 1))):
        config = frozen({**size, "model.backbone.freeze": freeze}, "test_vit")
        torch.manual_seed(seed)
        torch.save(timm.create_model("test_vit", num_classes=0).state_dict(), weights)
        run(config)
        assert len(kept(tmp_path / "kept")) == (1, 2, 2, 3)[num]


def test_a_resumed_run_is_of_the_frozen_stages_that_it_began_with(frozen: MakeFrozen, tmp_path: Path) -> None:
    changes = {"model.backbone.freeze": 3, "model.backbone.features": {}, "training.epochs": 2}
    with pytest.raises(StoppedError):
        run(frozen(changes), tmp_path / "run", on_epoch=stop_after(1))
    torch.manual_seed(1)
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "test_resnet.pth")
    with pytest.raises(UserError, match=r"^model\.backbone\.weights: .* does not hold the weights that the run in"):
        run(frozen(changes), tmp_path / "run", resume=True)


def test_features_of_stages_that_several_trunks_train_are_refused_before_a_folder_is_made(
    frozen: MakeFrozen, tmp_path: Path
) -> None:
    config = frozen({"model.backbone.freeze": 2, "model.backbone.features": {}, "model.sharing": {"name": "separate"}})
    with pytest.raises(
        UserError, match=r"^model\.backbone\.features: would be ignored, .* each task trains for itself"
    ):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
