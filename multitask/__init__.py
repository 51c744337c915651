"""Image classification where a class is a product of factors.

The names below are the public ones. Each is imported from its module when it is first asked for, so that
``import multitask`` itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multitask.bakeoff.bakeoff import run_bakeoff
    from multitask.config import Config, load_config
    from multitask.errors import UserError
    from multitask.inference.predictor import Predictor
    from multitask.labels import LabelSpace, Task
    from multitask.recipe.recipe import run_recipe
    from multitask.runs.evaluate import evaluate
    from multitask.runs.predict import write_submission as predict
    from multitask.runs.run import RunResult, run
    from multitask.study.study import run_study

__version__ = "0.1.0"

__all__ = [
    "Config",
    "LabelSpace",
    "Predictor",
    "RunResult",
    "Task",
    "UserError",
    "__version__",
    "evaluate",
    "load_config",
    "predict",
    "run",
    "run_bakeoff",
    "run_recipe",
    "run_study",
]

_HOMES = {
    "Config": ("multitask.config", "Config"),
    "LabelSpace": ("multitask.labels", "LabelSpace"),
    "Predictor": ("multitask.inference.predictor", "Predictor"),
    "RunResult": ("multitask.runs.run", "RunResult"),
    "Task": ("multitask.labels", "Task"),
    "UserError": ("multitask.errors", "UserError"),
    "evaluate": ("multitask.runs.evaluate", "evaluate"),
    "load_config": ("multitask.config", "load_config"),
    "predict": ("multitask.runs.predict", "write_submission"),
    "run": ("multitask.runs.run", "run"),
    "run_bakeoff": ("multitask.bakeoff.bakeoff", "run_bakeoff"),
    "run_recipe": ("multitask.recipe.recipe", "run_recipe"),
    "run_study": ("multitask.study.study", "run_study"),
}
"""Public name -> its module, and its name there."""


def __getattr__(name: str) -> Any:
    """A public name, imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, those that are not imported yet among them."""
    return sorted({*globals(), *__all__})
