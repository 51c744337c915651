"""The record of a recipe's beginning, ``recipe.yaml`` of its folder, which who goes on must match."""

from __future__ import annotations

from datetime import UTC, datetime

from multitask.errors import UserError
from multitask.labels import LabelSettings
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.settings import Plan
from multitask.settings import validate
from multitask.settings.yaml_text import dump_yaml, read_yaml
from multitask.utils.files import write_atomically


class Begun:
    """A recipe of this plan in a folder, which begins now or has begun.

    Args:
        plan: the recipe, made out.
        folder: its.
        data: the fingerprint of its data.

    Attributes:
        created: when it began.
        longer: whether the budget is larger than the last launch's.

    Raises:
        UserError: the folder's recipe is another, or is damaged.
    """

    def __init__(self, plan: Plan, folder: RecipeFolder, data: str) -> None:
        self._plan, self._folder, self._data = plan, folder, data
        self.created = datetime.now(UTC).isoformat(timespec="seconds")
        self.longer = False
        if folder.exists():
            self._check_same()

    def _check_same(self) -> None:
        content, where = read_yaml(self._folder.settings), self._folder.path
        try:
            began, base, data = content["recipe"], content["base"], content["data"]
            validate(LabelSettings, base["labels"]).space()
            self.created, before_s = content["created"], float(content["budget_s"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{self._folder.settings}: is damaged, or of another version") from None
        if base != self._plan.base.model_dump(mode="json"):
            raise UserError(f"{where}: its recipe began with another config; name another --out")
        mine = self._plan.settings.model_dump(mode="json")
        for key in mine:
            if key not in ("budget", "overrides", "base") and began.get(key) != mine[key]:
                raise UserError(f"{where}: its recipe began with other {key}; name another --out")
        if data != self._data:
            root = self._plan.base.data.root or "data.source"
            raise UserError(f"{root}: is not the data that the recipe in {where} began with")
        self.longer = self._plan.budget_s > before_s

    def write(self) -> None:
        """Writes what the recipe is; before anything else, so that what has it is one."""
        content = {
            "created": self.created,
            "recipe": self._plan.settings.model_dump(mode="json"),
            "base": self._plan.base.model_dump(mode="json"),
            "data": self._data,
            "budget_s": self._plan.budget_s,
        }
        write_atomically(self._folder.settings, dump_yaml(content))
