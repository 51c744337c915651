"""The layouts that are known, and the table of them: those known by name first."""

from multitask.init.layouts.base import LAYOUTS, Layout, Observed, Options
from multitask.init.layouts.folder import AnyFolder
from multitask.init.layouts.table import AnyTable

LAYOUTS["table"] = AnyTable
LAYOUTS["folder"] = AnyFolder

__all__ = ["LAYOUTS", "Layout", "Observed", "Options"]
