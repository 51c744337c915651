"""Paths of settings, and the folders that they are relative to."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from multitask.settings import Located, located, override, validate
from tests.settings.basket import Basket


class TestPaths:
    def test_a_files_path_is_relative_to_its_folder_and_one_of_the_command_line_to_where_one_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        folder = tmp_path / "configs"
        assert validate(Basket, {"path": "../x"}, folder).path == str(tmp_path / "x")
        assert validate(Basket, {"path": Located("x", Path.cwd())}, folder).path == str(tmp_path / "here" / "x")
        assert validate(Basket, {"path": "x"}).path == str(tmp_path / "here" / "x")
        assert validate(Basket, {"path": "/abs/y"}, folder).path == "/abs/y"

    def test_data_from_another_file_keep_its_folder_at_any_depth(self, tmp_path: Path) -> None:
        data = located({"path": "x", "free": {"a": [1, "y", {"b": "z"}]}, "lr": 1}, tmp_path / "here")
        assert data == {"path": "x", "free": {"a": [1, "y", {"b": "z"}]}, "lr": 1}
        words = (data["path"], data["free"]["a"][1], data["free"]["a"][2]["b"])
        assert all(isinstance(word, Located) and word.folder == tmp_path / "here" for word in words)
        merged = override(Basket, {"path": "y"}, {"path": data["path"]})
        assert validate(Basket, merged, tmp_path / "elsewhere").path == str(tmp_path / "here" / "x")
        # What was found elsewhere before stays there.
        assert located(data, tmp_path)["path"].folder == tmp_path / "here"

    def test_a_copy_of_a_located_string_is_one(self, tmp_path: Path) -> None:
        word = Located("x", tmp_path)
        for found in (copy.copy(word), copy.deepcopy({"a": [word]})["a"][0], pickle.loads(pickle.dumps(word))):
            assert type(found) is Located
            assert found == "x"
            assert found.folder == tmp_path

    def test_home_is_expanded_and_nobodys_home_is_no_crash(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert validate(Basket, {"path": "~/x"}).path == str(tmp_path / "x")
        assert validate(Basket, {"path": "~nobody-of-this-name/x"}, tmp_path).path.endswith("~nobody-of-this-name/x")
