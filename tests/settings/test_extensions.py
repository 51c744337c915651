"""Extensions: files of code that a config names run once, and only where the user allows it."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multitask.config import Config, load_config, read_config, stored_config
from multitask.errors import UserError
from multitask.losses import LOSSES
from multitask.settings import ExtensionError, load_extensions, not_loaded, validate
from multitask.settings.extensions import temporary_extensions
from multitask.settings.yaml_text import dump_yaml, parse_yaml

BRIER = """
from typing import Literal

from multitask.losses import LOSSES
from multitask.losses.classwise import PlainSettings
from multitask.settings import PositiveFloat


class BrierSettings(PlainSettings):
    name: Literal["brier"] = "brier"
    scale: PositiveFloat = 1.0

    def per_class(self, log_probs):
        probs = log_probs.exp()
        return self.scale * ((probs**2).sum(dim=1, keepdim=True) - 2 * probs + 1)


LOSSES["brier"] = BrierSettings
"""


@pytest.fixture(autouse=True)
def _gone_afterwards() -> Iterator[None]:
    with temporary_extensions():
        yield


@pytest.fixture
def brier(tmp_path: Path) -> Path:
    """A file that adds the loss ``brier``."""
    path = tmp_path / "my_losses.py"
    path.write_text(BRIER)
    return path


@pytest.fixture
def config_file(tiny: Callable[..., Config], tmp_path: Path, brier: Path) -> Path:
    """A config that names the file, relative to its own folder, and the loss."""
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "mine.yaml"
    data = {"extensions": ["../my_losses.py"], **tiny().model_dump(mode="json")}
    data["heads"] = {"age": {"loss": {"name": "brier", "scale": 2.0}}}
    path.write_text(dump_yaml(data))
    return path


class TestAllowed:
    def test_the_row_is_there_before_the_config_is_checked(self, config_file: Path, brier: Path) -> None:
        config = load_config(config_file, allow_extensions=True)
        assert config.heads["age"].loss.model_dump()["scale"] == 2.0
        assert config.extensions == (str(brier),)
        assert type(config.heads["age"].loss) is LOSSES["brier"]

    def test_a_config_keeps_the_resolved_path_and_is_read_again(self, config_file: Path, brier: Path) -> None:
        config = load_config(config_file, allow_extensions=True)
        data = parse_yaml(config.to_yaml(), "config")
        assert data["extensions"] == [str(brier)]
        assert validate(Config, data) == config
        assert stored_config(data, config_file) == config

    def test_a_config_without_any_does_not_speak_of_them(self, tiny: Callable[..., Config]) -> None:
        assert "extensions" not in tiny().model_dump()
        assert "extensions" not in tiny().to_yaml()

    def test_a_file_runs_once_however_it_is_spelt(self, tmp_path: Path, brier: Path, config_file: Path) -> None:
        brier.write_text(f"{BRIER}\nwith open({str(tmp_path / 'ran')!r}, 'a') as file:\n    file.write('x')\n")
        load_config(config_file, allow_extensions=True)
        (tmp_path / "link.py").symlink_to(brier)
        load_config(config_file, [f"extensions=[{tmp_path / 'link.py'}]"], allow_extensions=True)
        load_config(config_file)  # what has run needs no leave again
        assert (tmp_path / "ran").read_text() == "x"

    def test_it_is_a_module_under_a_name_of_its_own(self, config_file: Path) -> None:
        load_config(config_file, allow_extensions=True)
        name = LOSSES["brier"].__module__
        assert name.startswith("multitask_extension_my_losses_")
        assert sys.modules[name].BrierSettings is LOSSES["brier"]

    def test_what_runs_is_the_file_and_not_bytecode_beside_it(
        self, config_file: Path, brier: Path, tmp_path: Path
    ) -> None:
        brier.write_text(f"with open({str(tmp_path / 'ran')!r}, 'w') as file:\n    file.write('x')\n")
        bytecode = Path(importlib.util.cache_from_source(str(brier)))
        py_compile.compile(str(brier), str(bytecode), doraise=True)
        stat = brier.stat()
        brier.write_text("#" * (stat.st_size - 1) + "\n")  # which is as long, and as old
        os.utime(brier, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        load_extensions([str(brier)], "here", allowed=True)
        assert not (tmp_path / "ran").exists()

    def test_no_bytecode_is_left_beside_it(self, config_file: Path, brier: Path) -> None:
        load_config(config_file, allow_extensions=True)
        assert sorted(path.name for path in brier.parent.iterdir()) == ["configs", "my_losses.py"]

    def test_set_may_name_it_and_settings_of_its_rows(
        self, config_file: Path, brier: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(brier.parent)
        changes = ["extensions=[my_losses.py]", "heads.mask.loss.name=brier", "heads.mask.loss.class_weights.power=.5"]
        changes.append("heads.mask.loss.class_weights.name=inverse_frequency")
        loss = load_config(config_file, changes, allow_extensions=True).heads["mask"].loss
        assert loss.model_dump()["class_weights"] == {"name": "inverse_frequency", "power": 0.5}

    def test_overrides_know_the_rows_keys(self, config_file: Path) -> None:
        text = config_file.read_text().replace("scale: 2.0", "class_weights: inverse_frequency")
        config_file.write_text(text)
        loss = (
            load_config(config_file, ["heads.age.loss.class_weights.power=.5"], allow_extensions=True).heads["age"].loss
        )
        assert loss.model_dump()["class_weights"] == {"name": "inverse_frequency", "power": 0.5}

    def test_a_variable_of_the_environment_may_stand_in_the_path(
        self, config_file: Path, brier: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MINE", str(brier))
        data, _ = read_config(config_file, changes={"extensions": ["${MINE}"]}, allow_extensions=True)
        assert data["extensions"] == [str(brier)]


class TestRefused:
    def refusal(self, config: Path, **given: bool) -> str:
        with pytest.raises(ExtensionError) as caught:
            load_config(config, **given)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_without_leave_nothing_runs(self, config_file: Path, brier: Path, tmp_path: Path) -> None:
        brier.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        line = self.refusal(config_file)
        assert line == (
            f"{config_file}: extensions: {brier} is code, which can do anything that you can; look at it, then say "
            "--allow-extensions"
        )
        assert not (tmp_path / "ran").exists()
        assert not_loaded([str(brier)]) == [str(brier)]

    def test_all_that_would_run_is_named(self, config_file: Path, brier: Path, tmp_path: Path) -> None:
        (tmp_path / "other.py").write_text("")
        named = [str(brier), str(tmp_path / "other.py"), str(brier)]
        with pytest.raises(
            ExtensionError, match=rf": {brier}, \S*other\.py are code, .*; look at them, then say --allow"
        ):
            load_config(config_file, changes={"extensions": named})
        assert load_config(config_file, changes={"extensions": named}, allow_extensions=True).extensions == tuple(named)

    def test_a_config_made_in_python_cannot_name_what_has_not_run(
        self, tiny: Callable[..., Config], brier: Path
    ) -> None:
        data = {**tiny().model_dump(mode="json"), "extensions": [str(brier)]}
        with pytest.raises(UserError, match=r"^extensions: \S*my_losses\.py was not imported before the config"):
            validate(Config, data)
        with pytest.raises(ExtensionError, match=r"^stored\.yaml: extensions: "):
            stored_config(data, Path("stored.yaml"))
        load_extensions([str(brier)], "here", allowed=True)
        assert validate(Config, data).extensions == (str(brier),)

    def test_a_file_that_is_not_there(self, config_file: Path, brier: Path) -> None:
        brier.unlink()
        for allowed in (True, False):
            line = self.refusal(config_file, allow_extensions=allowed)
            assert line == f"{config_file}: extensions: {brier}: no such file"

    def test_a_file_that_is_no_python(self, config_file: Path, brier: Path, tmp_path: Path) -> None:
        other = brier.rename(tmp_path / "losses.txt")
        with pytest.raises(ExtensionError, match=r"losses\.txt: must be a file of Python code"):
            load_config(config_file, [f"extensions=[{other}]"], allow_extensions=True)

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("x = 1\ny = missing\n", "line 2: NameError: name 'missing' is not defined"),
            ("x = (\n", "line 1: SyntaxError: '(' was never closed"),
            ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
            ("raise RuntimeError\n", "line 1: RuntimeError"),
            ("raise RuntimeError('two\\nlines')\n", "line 1: RuntimeError: two lines"),
            ("import no_such_module_at_all\n", "line 1: ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ],
    )
    def test_a_file_that_fails(self, config_file: Path, brier: Path, code: str, said: str) -> None:
        brier.write_text(code)
        assert self.refusal(config_file, allow_extensions=True) == f"{config_file}: extensions: {brier}, {said}"

    def test_what_a_failing_file_added_is_gone_and_once_mended_it_works(self, config_file: Path, brier: Path) -> None:
        brier.write_text(f"{BRIER}\nmissing_name\n")
        assert "NameError" in self.refusal(config_file, allow_extensions=True)
        assert "brier" not in LOSSES
        assert not [name for name in sys.modules if name.startswith("multitask_extension_my_losses")]
        brier.write_text(BRIER)
        assert load_config(config_file, allow_extensions=True).heads["age"].loss.name == "brier"

    def test_a_name_that_is_taken(self, config_file: Path, brier: Path) -> None:
        brier.write_text(BRIER.replace('"brier"', '"focal"'))
        line = self.refusal(config_file, allow_extensions=True)
        assert line.startswith(f"{config_file}: extensions: {brier}, line 18: loss 'focal': is registered twice, as ")

    def test_two_files_that_add_the_same_name(self, config_file: Path, brier: Path, tmp_path: Path) -> None:
        (tmp_path / "other.py").write_text(BRIER)
        changes = {"extensions": [str(brier), str(tmp_path / "other.py")]}
        with pytest.raises(ExtensionError, match=r"other\.py, line \d+: loss 'brier': is registered twice, as "):
            load_config(config_file, changes=changes, allow_extensions=True)

    @pytest.mark.parametrize("value", ["3", "{a: b}", "[3]", "my_losses.py", "null"])
    def test_what_is_no_list_of_paths(self, config_file: Path, value: str) -> None:
        with pytest.raises(UserError, match=r"^extensions(\.0)?: input should be (a list|text), found"):
            load_config(config_file, [f"extensions={value}"])
