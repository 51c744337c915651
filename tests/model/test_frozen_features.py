"""Features that are computed once: those of the backbone to the bit, and no others' that were kept before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from multitask.data.batch import Batch
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.feature_rows import FeatureRows
from multitask.model.frozen_features import Features, compute_features, features_key
from multitask.model.settings import BackboneSettings, FeaturesSettings
from multitask.utils.ranks import Ranks
from tests.over_ranks import over_ranks

import timm  # isort: skip  (after multitask, which makes it importable)

SIZE = (64, 48)
PREPROCESSING = Preprocessing(SIZE)
SETTINGS = BackboneSettings(name="test_resnet", weights="none")
POOLED = FeatureRows(96)


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    path = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return Backbone(BackboneSettings(name="test_resnet", weights=str(path), freeze="all"), SIZE)


@pytest.fixture
def batches() -> list[Batch]:
    images = torch.randint(0, 256, (10, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    sizes = (4, 3, 3)
    parts = images.split(sizes), torch.zeros(10, 1, dtype=torch.int64).split(sizes), torch.ones(10).split(sizes)
    return [Batch(*part, torch.zeros(len(part[0]), 1)) for part in zip(*parts, strict=True)]


def autocast(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32)


def broken(here: Ranks) -> list[Batch]:
    raise AssertionError("they were computed again")


def compute(
    backbone: Backbone, give: Any, rows: FeatureRows, path: Path, dtype: torch.dtype = torch.float32
) -> Features:
    return Features(
        [compute_features(backbone, give, 10, PREPROCESSING, autocast(dtype), rows, path, lambda _: None)], rows
    )


def rows_of(
    backbone: Backbone, dtype: torch.dtype = torch.float32, with_map: bool = True, half: bool = False
) -> FeatureRows:
    return FeatureRows.of(backbone, SIZE, autocast(dtype), with_map=with_map, half=half)


@pytest.mark.parametrize("with_map", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_are_the_backbones_to_the_bit_and_computed_once(
    backbone: Backbone, batches: list[Batch], dtype: torch.dtype, with_map: bool, tmp_path: Path
) -> None:
    rows = rows_of(backbone, dtype, with_map)
    backbone.train()
    first = compute(backbone, lambda here: batches, rows, tmp_path / "x.npy", dtype)
    again = compute(backbone, broken, rows, tmp_path / "x.npy", dtype)
    with torch.no_grad(), autocast(dtype):
        encoded = [backbone.forward_features(PREPROCESSING.normalise(batch.images)) for batch in batches]
    for found in (first, again):
        assert len(found) == 10
        served = rows.unpack(found.normalise(torch.from_numpy(found.take(np.arange(10)))))
        assert served.pooled.dtype == encoded[0].pooled.dtype
        assert torch.equal(served.pooled, torch.cat([part.pooled for part in encoded]))
        assert (served.map is not None) == with_map
        if served.map is not None:
            expected = torch.cat([part.map for part in encoded if part.map is not None])
            assert served.map.dtype == expected.dtype
            assert torch.equal(served.map, expected)
            assert served.map.stride() == encoded[0].map.stride()  # type: ignore[union-attr]


def test_what_is_done_is_told(backbone: Backbone, batches: list[Batch], tmp_path: Path) -> None:
    seen: list[int] = []
    compute_features(
        backbone,
        lambda here: batches,
        10,
        PREPROCESSING,
        autocast(torch.float32),
        POOLED,
        tmp_path / "x.npy",
        seen.append,
    )
    assert seen == [4, 7, 10]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_takes_two_bytes_a_number_and_rounds(
    backbone: Backbone, batches: list[Batch], dtype: torch.dtype, tmp_path: Path
) -> None:
    rows = {half: rows_of(backbone, dtype, half=half) for half in (False, True)}
    whole, half = (compute(backbone, lambda here: batches, rows[key], tmp_path / f"{key}.npy", dtype) for key in rows)
    assert half.take(np.arange(1)).nbytes == 2 * half.rows.width
    one, other = (each.normalise(torch.from_numpy(each.take(np.arange(10)))) for each in (whole, half))
    assert one.dtype == other.dtype == dtype
    torch.testing.assert_close(one, other, rtol=2**-10, atol=1e-6)
    assert torch.equal(one, other) is (dtype == torch.bfloat16)


def test_a_feature_beyond_float16_is_refused_where_half_is_kept(
    backbone: Backbone, batches: list[Batch], tmp_path: Path
) -> None:
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(100)
    with pytest.raises(UserError, match=r"^model\.backbone\.features\.storage: half: a feature is beyond float16"):
        compute(backbone, lambda here: batches, rows_of(backbone, half=True), tmp_path / "x.npy")
    compute(backbone, lambda here: batches, rows_of(backbone), tmp_path / "x.npy")


def test_features_that_the_disk_has_no_room_for_are_refused(
    backbone: Backbone, batches: list[Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"x\.npy: takes .* but its disk has 1.0 kB left"):
        compute(backbone, lambda here: batches, rows_of(backbone), tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()

    def work(rank: int) -> None:
        compute(backbone, lambda here: batches[here.rank :: here.size], rows_of(backbone), tmp_path / "x.npy")

    ended, line = sorted(over_ranks(2, work), reverse=True)
    assert ended == "exit 2"
    assert line.endswith("but its disk has 1.0 kB left")  # who writes hears it, and says so to all
    assert not (tmp_path / "x.npy").exists()


def test_a_frozen_backbone_that_answers_nan_is_named_and_nothing_is_kept(
    backbone: Backbone, batches: list[Batch], tmp_path: Path
) -> None:
    with torch.no_grad():
        backbone.get_parameter(next(name for name, _ in backbone.named_parameters())).fill_(torch.nan)
    with pytest.raises(UserError, match=r"^model\.backbone: frozen, it answers NaN or infinities in float32; set "):
        compute(backbone, lambda here: batches, POOLED, tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()


def test_each_view_is_drawn_the_same_for_a_seed_and_the_plain_one_is_served_else() -> None:
    views = [np.stack([np.full(3, 10 * image + view, np.float32) for image in range(50)]) for view in range(4)]
    features = Features(views, FeatureRows(3))
    indices = np.random.default_rng(0).permutation(50)
    drawn = features.draw(indices, 7)
    assert np.array_equal(drawn, features.draw(indices, 7))
    assert not np.array_equal(drawn, features.draw(indices, 8))
    assert np.array_equal(drawn[:, 0] // 10, indices)
    assert (drawn == drawn[:, :1]).all()
    assert set(drawn[:, 0] % 10) == {0, 1, 2, 3}
    assert np.array_equal(features.take(indices), views[0][indices])


def test_key_is_another_for_whatever_changes_features_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    base: dict[str, Any] = {
        "pixels": "p",
        "settings": SETTINGS,
        "state": "s",
        "processor": "c",
        "dtype": torch.float32,
        "batch_size": 32,
        "rows": POOLED,
    }
    key = features_key(**base)
    assert key == features_key(**base)
    assert set(key) <= set("0123456789abcdef")

    def settings(**changes: Any) -> BackboneSettings:
        return SETTINGS.model_copy(update=changes)

    for changes in (
        {"weights": "/elsewhere/weights.pth"},
        {"freeze": "all"},
        {"mean": SETTINGS.normalisation()[0]},
        {"features": FeaturesSettings(views=3)},
    ):
        assert features_key(**{**base, "settings": settings(**changes)}) == key
    others = [
        {"pixels": "q"},
        {"state": "t"},
        {"processor": "d"},
        {"dtype": torch.bfloat16},
        {"batch_size": 16},
        {"rows": FeatureRows(96, half=True)},
        {"rows": FeatureRows(96, (4, 96), False, (torch.float32, torch.float32))},
        {"view": {"number": 1}},
        {"view": {"number": 2}},
        {"settings": settings(name="test_resnet.r160_in1k")},
        {"settings": settings(options={"output_stride": 16})},
        {"settings": settings(std=(0.1, 0.2, 0.3))},
    ]
    keys = [features_key(**{**base, **change}) for change in others]
    assert len({key, *keys}) == len(others) + 1
    for name, value in {"_VERSION": -1, "version": lambda package: "0"}.items():
        with monkeypatch.context() as patched:
            patched.setattr(f"multitask.model.frozen_features.{name}", value)
            assert features_key(**base) != key
