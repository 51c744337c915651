"""A hub that is out of reach is noticed at once, and what is in its cache is used nevertheless."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from multitask.errors import UserError
from multitask.model.creation import create_body
from multitask.model.hub import no_vain_retries
from multitask.model.settings import BackboneSettings

SETTINGS = BackboneSettings(name="resnet10t")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub at a port where nobody listens, with an empty cache."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def test_the_line_says_who_cannot_be_reached() -> None:
    with pytest.raises(
        UserError,
        match=r"^model\.backbone\.weights: the hub's weights of resnet10t cannot be had "
        r"\(127\.0\.0\.1 cannot be reached: Connection refused\); use a local file, or none$",
    ):
        create_body(SETTINGS, (32, 32), pretrained=True)
    assert not constants.HF_HUB_OFFLINE


def test_what_is_in_the_cache_is_used(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = timm.create_model("resnet10t", pretrained=False)
    repository = tmp_path / f"models--{model.pretrained_cfg['hf_hub_id'].replace('/', '--')}"
    (repository / "snapshots/abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc")
    save_file(model.state_dict(), repository / "snapshots/abc/model.safetensors")
    body = create_body(SETTINGS, (32, 32), pretrained=True)
    torch.testing.assert_close(body.state_dict()["conv1.0.weight"], model.state_dict()["conv1.0.weight"])


def test_behind_a_proxy_only_the_client_can_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with no_vain_retries() as why:
        assert (why, constants.HF_HUB_OFFLINE) == ("", False)
