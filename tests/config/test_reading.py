"""Configs read from files: overrides, paths, and those that are shipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config, load_config, read_config
from multitask.errors import UserError
from multitask.settings import problems, validate
from multitask.settings.yaml_text import dump_yaml, parse_yaml, read_yaml
from tests.config.base import BASE
from tests.shipped import load_shipped

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def write(folder: Path, data: dict[str, Any] | str, name: str = "config.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(data if isinstance(data, str) else dump_yaml(data))
    return path


class TestLoadConfig:
    def test_a_file_with_overrides(self, tmp_path: Path) -> None:
        path = write(tmp_path, BASE)
        config = load_config(
            path, ["training.lr=1e-3", "heads.age.loss.gamma=1.5", "heads.age.loss.name=focal", "training.ema={}"]
        )
        assert config.training.lr == 0.001
        assert config.heads["age"].loss.model_dump()["gamma"] == 1.5
        assert config.training.ema is not None
        assert load_config(path).seed == 0

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("labels: [", r"config\.yaml, line 1, column 10: not YAML: "),
            ("a: 1\na: 2", r"config\.yaml, line 2, column 1: not YAML: key 'a' stands twice"),
            ("just words", r"config\.yaml: must hold keys and values, found text"),
        ],
    )
    def test_a_file_that_is_no_config_is_named(self, tmp_path: Path, text: str, line: str) -> None:
        with pytest.raises(UserError, match=line):
            load_config(write(tmp_path, text))

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"none\.yaml: no such file$"):
            load_config(tmp_path / "none.yaml")

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ("training.lr=fast", r"^training\.lr: input should be a valid number, found 'fast'$"),
            ("training.lrr=1", r"^training\.lrr: unknown key; did you mean 'lr'\?$"),
            ("training.lr", r"^--set training\.lr: must be key=value"),
            ("seed.x=1", r"^seed: input should be a valid integer, found "),
        ],
    )
    def test_a_wrong_override_is_one_line(self, tmp_path: Path, change: str, line: str) -> None:
        with pytest.raises(UserError, match=line):
            load_config(write(tmp_path, BASE), [change])


class TestPaths:
    @pytest.fixture
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A working directory that is not the config's folder."""
        folder = tmp_path / "here"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    def config(self, tmp_path: Path, root: str) -> Path:
        return write(tmp_path / "configs", {**BASE, "data": {"root": root}})

    def test_in_the_file_they_are_relative_to_its_folder(self, tmp_path: Path, here: Path) -> None:
        assert load_config(self.config(tmp_path, "../set")).data.root == str(tmp_path / "set")
        self.config(tmp_path, "set")
        assert load_config(Path("../configs/config.yaml")).data.root == str(tmp_path / "configs" / "set")

    def test_of_set_they_are_relative_to_where_one_is(self, tmp_path: Path, here: Path) -> None:
        path = self.config(tmp_path, "set")
        assert load_config(path, ["data.root=set"]).data.root == str(here / "set")
        assert load_config(path, ["data={root: ../set}"]).data.root == str(tmp_path / "set")
        (here / "w.pth").touch()
        assert load_config(path, ["model.backbone.weights=w.pth"]).model.backbone.weights == str(here / "w.pth")

    def test_variables_and_their_defaults(self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MT_ROOT", raising=False)
        path = self.config(tmp_path, "${MT_ROOT:-../set}/x")
        assert load_config(path).data.root == str(tmp_path / "set" / "x")
        monkeypatch.setenv("MT_ROOT", "")  # empty is not set
        assert load_config(path).data.root == str(tmp_path / "set" / "x")
        monkeypatch.setenv("MT_ROOT", "/abs")
        assert load_config(path).data.root == "/abs/x"
        monkeypatch.setenv("MT_ROOT", "rel")  # as if typed where the command runs
        assert load_config(path).data.root == str(here / "rel" / "x")

    def test_a_default_in_set_is_still_of_set(
        self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MT_ROOT", raising=False)
        path = self.config(tmp_path, "set")
        assert load_config(path, ["data.root=${MT_ROOT:-set}"]).data.root == str(here / "set")

    def test_a_variable_that_is_not_set_is_named_with_its_key(
        self, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MT_ROOT", raising=False)
        path = self.config(tmp_path, "${MT_ROOT}")
        line = r"^data\.root: the environment variable MT_ROOT is not set; set it, or --set data\.root=\.\.\.$"
        with pytest.raises(UserError, match=line):
            load_config(path)
        assert load_config(path, ["data.root=/abs"]).data.root == "/abs"

    def test_the_resolved_config_means_the_same_anywhere(self, tmp_path: Path, here: Path) -> None:
        config = load_config(self.config(tmp_path, "../set"))
        elsewhere = write(tmp_path / "a" / "b", config.to_yaml())
        assert load_config(elsewhere) == config


class TestShippedConfigs:
    def test_there_are_some(self) -> None:
        assert CONFIGS

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_every_file_in_configs_loads(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = load_shipped(load_config, path, tmp_path, monkeypatch)
        if path.name.startswith("mask18"):
            assert config.space().num_classes == 18
        assert validate(Config, parse_yaml(config.to_yaml(), path.name)) == config

    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
    def test_no_key_of_a_file_is_unknown(self, path: Path) -> None:
        # Also where a file that it names is absent: keys are checked before values.
        assert not [line for line in problems(Config, read_yaml(path), path.parent) if "unknown" in line]

    def test_reading_gives_the_folder_that_paths_are_relative_to(self, tmp_path: Path) -> None:
        data, folder = read_config(write(tmp_path, BASE))
        assert data == BASE
        assert folder == tmp_path
